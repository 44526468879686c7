"""
No text forges an event: what is written is one event to a reader that is not ours (PROMISES.md S8).

STREAMKIT_BIG_TESTS=1 runs the full count, 10^5 round trips over the first two tests.
"""

from __future__ import annotations

import os
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError
from streamkit.wire import SSEWriter, encode_comment

EXAMPLES = 50_000 if os.environ.get("STREAMKIT_BIG_TESTS") == "1" else 1_000

#: Ordinary text, and pieces of what an attacker would write.
PIECES = st.sampled_from(
    [
        "\r", "\n", "\r\n", "\n\n", "\r\r", "\0", ":", " ", "data: x", "event: done", "id: 1",
        "retry: 1", "data: [DONE]\n\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\ufeff",
    ]
)  # fmt: skip
TEXT = st.lists(PIECES | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)).map("".join)


def read(body: bytes) -> list[dict[str, str]]:
    """
    Events as the specification's own words have them, one after the other, without any state kept.

    Source: HTML Living Standard, 9.2.6 Interpreting an event stream.
    """
    events = []
    text = body.decode().removeprefix("\ufeff")
    fields: dict[str, list[str]] = {}
    for line in re.split("\r\n|\r|\n", text)[:-1]:
        if not line:
            if "data" in fields:
                events.append({name: "\n".join(values) for name, values in fields.items()})
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            if name in ("event", "data", "id", "retry"):
                fields.setdefault(name, []).append(value.removeprefix(" "))
    assert not fields, "the last event has no end"
    return events


def written(event: str | None, data: str, id: str | None, retry: int | None) -> bytes | None:
    """What reaches the client; None if the call was refused."""
    out: list[bytes] = []
    try:
        SSEWriter(out.append).write_event(event, data, id, retry)
    except ConfigurationError:
        assert out == [], "a refused call writes nothing"
        return None
    (body,) = out
    return body


@settings(max_examples=EXAMPLES)
@given(st.none() | TEXT, TEXT, st.none() | TEXT, st.none() | st.integers(-5, 10**16))
def test_an_event_is_refused_or_is_exactly_one_event(
    event: str | None, data: str, id: str | None, retry: int | None
) -> None:
    body = written(event, data, id, retry)
    if body is None:
        assert (
            re.search("[\r\n]", (event or "") + (id or ""))
            or "\0" in (id or "")
            or not 0 <= (retry or 0) <= 10**15
        )
        return
    expected = {"data": re.sub("\r\n|\r", "\n", data)}
    expected |= {name: v for name, v in (("event", event), ("id", id)) if v is not None}
    expected |= {} if retry is None else {"retry": str(retry)}
    assert read(body) == [expected]


@settings(max_examples=EXAMPLES)
@given(TEXT)
def test_data_and_comments_never_make_an_event_of_their_own(text: str) -> None:
    body = written(None, text, None, None)
    assert body is not None
    whole = encode_comment(text) + body + encode_comment(text)
    assert [event["data"] for event in read(whole)] == [re.sub("\r\n|\r", "\n", text)]


@settings(max_examples=EXAMPLES // 10)
@given(TEXT)
def test_json_of_any_text_is_one_line(text: str) -> None:
    out: list[bytes] = []
    SSEWriter(out.append).write_json({"content": text})
    assert len(read(out[0])) == 1
