"""What could smuggle a header or a request is refused before any I/O, unquoted (PROMISES.md S2)."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from streamkit import Client, ConfigurationError
from streamkit.testing import LocalProvider

MARKER = "canary"
#: Put in the middle, at the front and at the back: what no header may carry, nor a model or a URL.
CONTROLS = "\r", "\n", "\r\n", "\0", "\x01", "\x07", "\x08", "\x0b", "\x0c", "\x1b", "\x1f", "\x7f"
BAD = [
    *(f"{MARKER}{c}X-Evil: {MARKER}" for c in CONTROLS),
    *(f"{MARKER}{c}" for c in ("\r", "\n", "\r\n", "\0", " ", "\t", "\u00a0")),
    *(f"{c}{MARKER}" for c in ("\r", "\n", "\r\n", "\0", " ", "\t", "\x1f")),
    f"{MARKER}\r\n\r\nGET /{MARKER} HTTP/1.1",
    f"{MARKER}\n\n",
    f"{MARKER}\ud800",
    " ",
    "\t",
    "",
]

PLACES: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "api_key": lambda bad: {"api_key": bad},
    "header name": lambda bad: {"headers": {bad: MARKER}},
    "header value": lambda bad: {"headers": {"X-Good": bad}},
    "extra header name": lambda bad: {"extra_headers": {bad: MARKER}},
    "extra header value": lambda bad: {"extra_headers": {"X-Good": bad}},
    "model": lambda bad: {"model": f"openai/{bad}"},
    "model in the address": lambda bad: {"model": f"gemini/{bad}"},
    "model in a quoted address": lambda bad: {"model": f"bedrock/{bad}"},
    "base_url": lambda bad: {"base_url": f"http://127.0.0.1/{bad}" if bad.strip() else bad},
    "organisation": lambda bad: {"environment": {"OPENAI_ORG_ID": bad}},
    "key of the environment": lambda bad: {"environment": {"OPENAI_API_KEY": bad}},
    "URL of the environment": lambda bad: {"environment": {"OPENAI_BASE_URL": f"{bad}/v1"}},
}
#: An environment variable can hold neither, and an empty one counts as not set.
IMPOSSIBLE = {bad for bad in BAD if "\0" in bad or "\ud800" in bad or not bad}


@pytest.fixture(scope="module")
def server() -> Iterator[LocalProvider]:
    with LocalProvider() as provider:
        yield provider
        assert provider.connections == 0


def test_there_are_thirty() -> None:
    assert len(set(BAD)) >= 30


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("bad", BAD, ids=ascii)
def test_it_is_refused_and_not_quoted(
    bad: str, place: str, server: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"model": "openai/m", "base_url": server.base_url(), "api_key": "k" * 9}
    given |= PLACES[place](bad)
    environment = given.pop("environment", {})
    if environment and bad in IMPOSSIBLE:
        return
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
        given.pop({"OPENAI_API_KEY": "api_key", "OPENAI_BASE_URL": "base_url"}.get(name, ""), None)
    with Client() as client, pytest.raises(ConfigurationError) as caught:
        client.stream(given.pop("model"), "Hi", **given)
    assert MARKER not in str(caught.value)
    assert str(caught.value).isprintable()
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    if not place.startswith("model") and not place.endswith("header name"):  # no secrets
        inside = "".join(shown.format()).partition("streamkit/api.py")[2]
        assert MARKER not in inside
    assert server.connections == 0
