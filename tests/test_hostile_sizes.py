"""16 MiB made to be slow, through what takes secrets and escapes out of text (PROMISES.md S20)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from streamkit.errors import ProviderError
from streamkit.integrations.terminal import printable
from streamkit.pipeline.redact import Redactor
from streamkit.providers.base import Endpoint
from streamkit.providers.failure import http_failure
from streamkit.request import Request, Secret

KEY = "sk-marker-0123456789abcdef"
SIZE = 16 << 20
HEADERS = {"a": Secret(f"Bearer {KEY}"), "b": Secret("aaaaaaaaaaaaaaab"), "c": Secret("ababababab")}
ENDPOINT = Endpoint(
    provider="openai", base_url="https://h", api_key=Secret(KEY), headers={"x": HEADERS["b"]}
)
REDACTOR = Redactor(Request(url="https://h", headers=HEADERS))

PIECES = {
    "almost the key": KEY[:-1],
    "nothing but keys": KEY,
    "almost another": "a",
    "two letters": "ab",
    "escapes": "\x1b",
    "C1 and bidi": "\x9b\u202e",
    "line ends": "\r\n",
    "braces": "{",
    "angles": "<!",
    "quotes": '"\\',
    "blanks": " ",
    "wide": "\U0001f680",
}

WORK: Mapping[str, Callable[[str], Any]] = {
    "text": REDACTOR.text,
    "data": lambda text: REDACTOR.data(text.encode()),
    "error": lambda text: REDACTOR.error(ProviderError(text)),
    "headers": lambda text: REDACTOR.headers({"x": text}),
    "error body": lambda text: http_failure(ENDPOINT, 400, {"x-request-id": text}, text.encode()),
    "terminal": lambda text: printable(text[: SIZE // 4]),  # each may become four to six
}


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("piece", PIECES)
def test_hostile_input_takes_less_than_a_second(piece: str, work: str, time_scale: float) -> None:
    unit = PIECES[piece]
    text = unit * (SIZE // len(unit.encode()))
    start = time.process_time()
    WORK[work](text)
    assert time.process_time() - start <= 1.0 * time_scale
