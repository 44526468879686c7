"""
Google Gemini: frames in server-sent events or in one JSON array.

Source: WIRE_FORMATS.md section 5. What goes out is in gemini_contents.py, what a frame says in
gemini_reader.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.errors import ProtocolError, ProviderError
from streamkit.providers.base import Decoder, Endpoint
from streamkit.providers.build import build_request, without_none
from streamkit.providers.dialect import parse_object
from streamkit.providers.gemini_contents import (
    choice_of,
    convert_messages,
    convert_tools,
    format_of,
)
from streamkit.providers.gemini_events import GeminiDecoder
from streamkit.providers.gemini_parts import retry_delay
from streamkit.providers.gemini_reader import FrameReader
from streamkit.request import Call, Request
from streamkit.wire.jsontext import parse

if TYPE_CHECKING:
    from streamkit.wire.sse import Event

__all__ = ["Gemini", "GeminiArray"]

VERSION = "v1beta"

_VERSIONED = re.compile(r"/v\d\w*$")


class Gemini(FrameReader):
    """
    The dialect of ``streamGenerateContent``.

    A thought signature comes as a reasoning chunk without content, with ``signature`` in its
    metadata, and ``tool_call``, the call's index, if it came with one. Usage grows with each frame
    and is reported with the first and the last: no buffer policy may shed it, so that one report
    for each text would fill the buffer of a slow consumer.

    Parameters read: ``api_version``, unless the base URL ends in a version.

    Thread safety: **confined**; one instance reads one attempt.
    """

    models_path: ClassVar[str | None] = "/models?pageSize=1000"

    #: What is asked of the method.
    query: ClassVar[str] = "?alt=sse"

    def request(self, call: Call) -> Request:
        """
        ``POST {base}/v1beta/models/{model}:streamGenerateContent``; a tuned model is named in full.

        Messages, tools, tool_choice and response_format in OpenAI's form are converted, all else is
        sent as it is. Thinking, safety settings and more: ``extra_body``.

        Raises:
            ConfigurationError: A message cannot be converted or sent.
        """
        instruction, contents = convert_messages(call.system, call.messages)
        config = without_none(
            maxOutputTokens=call.max_tokens,
            temperature=call.temperature,
            topP=call.top_p,
            stopSequences=call.stop,
            seed=call.seed,
            **format_of(call.response_format),
        )
        body = without_none(
            systemInstruction=instruction,
            contents=contents,
            generationConfig=config or None,
            tools=call.tools and convert_tools(call.tools),
            toolConfig=choice_of(call.tool_choice),
        )
        headers = {"Accept": "*/*", **self._auth()}
        path = f"/{self._place(call.model)}:streamGenerateContent{self.query}"
        return build_request(self._versioned(), path, headers, body, call)

    def decoder(self, *, max_event: int) -> Decoder[Event]:
        """Server-sent events or an array, whichever comes."""
        return GeminiDecoder(max_event=max_event)

    def feed(self, event: Event) -> list[Chunk]:
        """
        One frame -> its chunks.

        Raises:
            ProviderError: The frame is an error; one that came with content waits in ``failure``.
            ProtocolError: The event is not JSON.
        """
        data = event.data
        if data[:1] != "{" or event.event == "error":
            return self._read_odd(event)
        frame = parse(data)
        # Nearly every frame of an answer: the next text of one candidate, and the counts so far.
        try:
            (candidate,) = frame["candidates"]
            (part,) = candidate["content"]["parts"]
            text = part["text"]
            plain = (
                text.__class__ is str
                and len(part) == 1
                and frame["modelVersion"] == self.model
                and not candidate.get("index")
                and "finishReason" not in candidate
                and "groundingMetadata" not in candidate
                and "citationMetadata" not in candidate
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            plain = False
        if (
            plain
            and text
            and self.response_id
            and self._counted
            and "error" not in frame
            and "promptFeedback" not in frame
        ):
            self._note(frame)
            return [
                Chunk(text, 0, 0.0, False, None, {}, "text", None, self.model, self.response_id)
            ]
        return self._read(frame)

    def whole(self, body: bytes) -> list[Chunk] | None:
        """
        An answer of ``generateContent`` -> its chunks; None if the body is not one.

        Raises:
            ProviderError: The body is an error object.
        """
        frame = parse_object(body)
        if frame is None or frame.keys().isdisjoint(("error", "candidates", "promptFeedback")):
            return None
        return self._read(frame)

    @override
    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """An HTTP error response -> the exception; the time to wait is in the body."""
        error = super().error(status, headers, body)
        text = body.decode("utf-8", "replace")
        lines = (line[5:] for line in text.splitlines() if line.startswith("data:"))
        for data in (text, *lines):
            with suppress(ProtocolError):
                error.retry_after = retry_delay(parse(data))
                break
        return error

    @override
    def models_request(self) -> Request | None:
        """``GET {base}/v1beta/models``."""
        request = super().models_request()
        if request is None:
            return None
        return replace(request, url=f"{self._versioned().base_url}{self.models_path}")

    @override
    def _auth(self) -> dict[str, str]:
        key = self.endpoint.api_key
        return {} if key is None else {"x-goog-api-key": key}

    @override
    def _failure(self, frame: Any) -> ProviderError:
        error = super()._failure(frame)
        error.retry_after = retry_delay(frame)
        return error

    def _versioned(self) -> Endpoint:
        """The endpoint with the version of the API in its address."""
        if _VERSIONED.search(self.endpoint.base_url):
            return self.endpoint
        version = quote(self.endpoint.params.get("api_version", VERSION), safe="")
        return replace(self.endpoint, base_url=f"{self.endpoint.base_url}/{version}")

    def _place(self, model: str) -> str:
        """Where a model is, below the base URL; its name cannot lead elsewhere."""
        kind, slash, name = model.partition("/")
        if not slash or kind not in ("models", "tunedModels"):
            kind, name = "models", model
        return f"{kind}/{quote(name, safe='@')}"


class GeminiArray(Gemini):
    """
    The same without ``alt=sse``: one long JSON array, an object in it for each frame.

    Thread safety: **confined**; one instance reads one attempt.
    """

    query = ""
