"""Any JSON value in any place of a real frame gives sound chunks or one of our errors."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streamkit.chunk import Chunk
from streamkit.errors import ProtocolError, ProviderError
from streamkit.providers.base import Endpoint
from streamkit.providers.gemini import Gemini
from streamkit.wire.sse import Event

PIECE = {"jsonPath": "$.a[0]['b']", "stringValue": "x", "willContinue": True}
PARTS = [
    {"text": "a"},
    {"text": "b", "thought": True, "thoughtSignature": "s"},
    {"functionCall": {"name": "f", "id": "1", "args": {"a": 1}}, "thoughtSignature": "s"},
    {"functionCall": {"name": "g", "partialArgs": [PIECE], "willContinue": True}},
    {"functionCall": {"partialArgs": [{"jsonPath": "$.c", "numberValue": 1}]}},
    {"inlineData": {"mimeType": "image/png", "data": "x"}},
    {"executableCode": {"id": "e", "code": "1"}},
    {"toolCall": {"id": "t", "toolType": "T"}},
]
FRAME = {
    "candidates": [
        {
            "content": {"parts": PARTS, "role": "model"},
            "finishReason": "STOP",
            "index": 0,
            "citationMetadata": {"citations": [{"uri": "u"}]},
            "groundingMetadata": {"groundingChunks": [{"web": {"uri": "u"}}]},
        },
        {"content": {"parts": [{"text": "c"}]}, "finishReason": "STOP", "index": 1},
    ],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2},
    "promptFeedback": {"blockReason": "SAFETY"},
    "modelVersion": "m",
    "responseId": "r",
}
PLAIN = {
    "candidates": [{"content": {"parts": [{"text": "a"}]}}],
    "usageMetadata": {"promptTokenCount": 1},
    "modelVersion": "m",
    "responseId": "r",
}
FAILED = {"error": {"code": 1, "message": "m", "status": "s", "details": [{"retryDelay": "1s"}]}}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["text", "index", "web", "error"]), inner, max_size=2)
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, item in inner:
        yield (*path, key)
        yield from places(item, (*path, key))


def with_value(frame: Any, place: tuple[Any, ...], value: Any) -> Any:
    frame = copy.deepcopy(frame)
    at = frame
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    return frame


def check(chunks: list[Chunk]) -> None:
    for chunk in chunks:
        assert isinstance(chunk.content, str)
        assert isinstance(chunk.finish_reason, (str, type(None)))
        assert all(isinstance(v, (str, type(None))) for v in (chunk.model, chunk.id))
        if chunk.kind != "usage":
            json.dumps(chunk.metadata).encode()


MUTANTS = st.sampled_from([FRAME, PLAIN, FAILED]).flatmap(
    lambda frame: st.builds(with_value, st.just(frame), st.sampled_from([*places(frame)]), JSON)
)


@given(st.lists(MUTANTS, min_size=1, max_size=3))
def test_no_value_in_any_place_breaks_the_dialect(frames: list[Any]) -> None:
    reader = Gemini(Endpoint(provider="gemini", base_url="http://h"))
    for frame in [PLAIN, *frames, PLAIN]:
        try:
            check(reader.feed(Event(data=json.dumps(frame))))
        except (ProviderError, ProtocolError) as error:
            str(error).encode()
    check(reader.flush())
    assert isinstance(reader.blocked, (str, type(None)))
