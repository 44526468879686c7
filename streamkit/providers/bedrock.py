"""
Bedrock's Converse: one form of messages and events for all its models, in AWS event-stream frames.

The headers of an event name its type, the payload is JSON. Its members ``p`` are padding. The usage
comes after the finish reason, in the last event, ``metadata``.

Bedrock's OpenAI endpoint (Mantle) is no dialect of this file: ``provider="openai"`` with its URL as
``base_url`` reads it.

Source: WIRE_FORMATS.md section 13; the official SDK, botocore 1.44. What goes out is in
bedrock_messages.py, keys and signatures are in aws.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.errors import ConfigurationError, ProviderError
from streamkit.providers.aws import (
    EVENT_STREAM,
    authorized,
    aws_failure,
    model_path,
    problem_of,
)
from streamkit.providers.base import Decoder, Endpoint
from streamkit.providers.bedrock_messages import (
    choice_of,
    convert_messages,
    convert_tool,
    output_of,
)
from streamkit.providers.build import build_request, without_none
from streamkit.providers.calls import word
from streamkit.providers.dialect import Dialect, parse_object
from streamkit.providers.shape import as_index, as_list, as_object
from streamkit.providers.usage import BEDROCK, holds_more, read_usage
from streamkit.request import Call, Request
from streamkit.wire.eventstream import BinaryEvent, EventStreamDecoder
from streamkit.wire.jsontext import encode, parse
from streamkit.wire.surrogates import clean, clean_deep

__all__ = ["BedrockConverse"]


class BedrockConverse(Dialect):
    """
    The dialect of ``converse-stream``.

    Tools that the service runs are calls like all others here, with ``"type": "server_tool_use"``
    in their metadata; their results come as text chunks without content, with
    ``server_tool_result`` in theirs. So do images, with ``image``.

    Thread safety: **confined**; one instance reads one attempt.
    """

    cached_apart = True

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        #: Block -> the call whose result it is.
        self._results: dict[int | None, str] = {}
        #: Block -> what its beginning says of the image in it.
        self._images: dict[int | None, dict[str, Any]] = {}

    def request(self, call: Call) -> Request:
        """
        ``POST {base}/model/{model}/converse-stream``; the model is an id or an ARN.

        ``additionalModelRequestFields``, ``guardrailConfig`` and the like go in ``extra_body``.

        Raises:
            ConfigurationError: The call asks for what the API has not (seed, a response_format
                other than json_schema), a message cannot be converted or sent, or the request
                can be neither signed nor sent with a key.
        """
        if call.seed is not None:
            raise ConfigurationError(
                "bedrock converse has no seed; its own fields go in extra_body"
            )
        system, messages = convert_messages(call.system, call.messages)
        inference = without_none(
            maxTokens=call.max_tokens,
            temperature=call.temperature,
            topP=call.top_p,
            stopSequences=call.stop,
        )
        tools = without_none(
            tools=call.tools and [convert_tool(tool) for tool in call.tools],
            toolChoice=choice_of(call.tool_choice),
        )
        body = without_none(
            system=system,
            messages=messages,
            inferenceConfig=inference or None,
            toolConfig=tools or None,
            outputConfig=output_of(call.response_format),
        )
        path = model_path(call.model) + "/converse-stream"
        headers = {"Accept": EVENT_STREAM, **self._auth()}
        return authorized(build_request(self.endpoint, path, headers, body, call), self.endpoint)

    def decoder(self, *, max_event: int) -> Decoder[BinaryEvent]:
        """AWS event-stream frames."""
        return EventStreamDecoder(max_event=max_event)

    def feed(self, event: BinaryEvent) -> list[Chunk]:
        """
        One event -> its chunks; an unknown type gives none.

        Raises:
            ProviderError: The event is an exception.
            ProtocolError: Its payload is not JSON.
        """
        if event.headers.get(":event-type") != "contentBlockDelta":
            return self._read(event)
        frame = _payload(event)
        delta = frame.get("delta")
        if delta.__class__ is not dict:
            return []
        # Nearly every event of an answer.
        text = delta.get("text")
        if text and text.__class__ is str:
            return [Chunk(text, 0, 0.0, False, None, {}, "text", None, self.model)]
        return self._read_delta(as_index(frame.get("contentBlockIndex")), delta)

    def whole(self, body: bytes) -> list[Chunk] | None:
        """
        The answer of ``converse`` -> its chunks; None if the body is not one.

        Raises:
            LimitExceeded: It holds more values or calls than an answer may.
        """
        answer = parse_object(body) or {}
        blocks = as_object(as_object(answer.get("output")).get("message")).get("content")
        if not isinstance(blocks, list):
            return None
        chunks: list[Chunk] = []
        for index, block in enumerate(blocks):
            chunks += self._read_block(index, as_object(block))
        chunks += self._read_metadata(answer)
        self._finish(answer.get("stopReason"), chunks)
        return chunks

    @override
    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """An HTTP error response -> the exception for it; never raises."""
        return aws_failure(self.endpoint, status, headers, body)

    def _read(self, event: BinaryEvent) -> list[Chunk]:
        problem = problem_of(event)
        if problem is not None:
            raise self._failure(problem)
        kind = event.headers.get(":event-type")
        if kind == "contentBlockStart":
            frame = _payload(event)
            return self._read_start(
                as_index(frame.get("contentBlockIndex")), as_object(frame.get("start"))
            )
        if kind == "messageStop":
            self._finish(_payload(event).get("stopReason"), [])
        elif kind == "metadata":
            return self._read_metadata(_payload(event))
        return []

    def _read_start(self, index: int | None, start: dict[str, Any]) -> list[Chunk]:
        use, result, image = start.get("toolUse"), start.get("toolResult"), start.get("image")
        if isinstance(use, dict):
            return [self._open_call(index, use, "")]
        if isinstance(result, dict):
            self._results[index] = id = word(result.get("toolUseId"))
            known = {name: result[name] for name in ("type", "status") if name in result}
            return [
                self._chunk("", "text", {"server_tool_result": {"id": id, **clean_deep(known)}})
            ]
        if isinstance(image, dict):
            self._images[index] = image
        return []

    def _read_delta(self, index: int | None, delta: dict[str, Any]) -> list[Chunk]:
        use, thought = delta.get("toolUse"), delta.get("reasoningContent")
        citation, result = delta.get("citation"), delta.get("toolResult")
        image = delta.get("image")
        if isinstance(use, dict):
            call, fragment = self._calls.get(index), use.get("input")
            if call and fragment and isinstance(fragment, str):
                return [self._call_chunk(call, fragment)]
        elif isinstance(thought, dict):
            return self._read_thought(thought, thought.get("redactedContent"))
        elif citation and isinstance(citation, dict):
            return [self._chunk("", "citation", {"citation": clean_deep(citation)})]
        elif result and isinstance(result, list):
            told = {"id": self._results.get(index, ""), "content": clean_deep(result)}
            return [self._chunk("", "text", {"server_tool_result": told})]
        elif image and isinstance(image, dict):
            whole = clean_deep({**self._images.get(index, {}), **image})
            return [self._chunk("", "text", {"image": whole})]
        return []

    def _read_thought(self, thought: dict[str, Any], redacted: Any) -> list[Chunk]:
        chunks = []
        text, signature = thought.get("text"), thought.get("signature")
        if text and isinstance(text, str):
            chunks.append(self._chunk(text, "reasoning"))
        if signature and isinstance(signature, str):
            chunks.append(self._chunk("", "reasoning", {"signature": clean(signature)}))
        if redacted and isinstance(redacted, str):
            chunks.append(self._chunk("", "reasoning", {"redacted": clean(redacted)}))
        return chunks

    def _read_metadata(self, frame: dict[str, Any]) -> list[Chunk]:
        """The end: counts and times, and the model where a router has chosen it."""
        self.finished = True
        trace = as_object(frame.get("trace"))
        self._identify(as_object(trace.get("promptRouter")).get("invokedModelId"), None)
        usage = as_object(frame.get("usage"))
        details = {
            name: frame[name]
            for name in ("metrics", "trace", "performanceConfig", "serviceTier")
            if frame.get(name)
        }
        if holds_more(usage, BEDROCK):
            details["usage"] = usage
        return self._report_usage(read_usage(usage, BEDROCK), details)

    def _read_block(self, index: int, block: dict[str, Any]) -> list[Chunk]:
        """A block of a whole answer, which differs from its delta in form."""
        use, thought = block.get("toolUse"), block.get("reasoningContent")
        cited = block.get("citationsContent")
        if isinstance(use, dict):
            given = use.get("input")
            return [self._open_call(index, use, encode(given) if given else "")]
        if isinstance(thought, dict):
            said = as_object(thought.get("reasoningText"))
            return self._read_thought(said, thought.get("redactedContent"))
        chunks = self._read_delta(index, {"image": block.get("image")})
        parts = [block, *as_list(as_object(cited).get("content"))]
        for text in (as_object(part).get("text") for part in parts):
            if text and isinstance(text, str):
                chunks.append(self._chunk(text, "text"))
        for citation in as_list(as_object(cited).get("citations")):
            chunks += self._read_delta(index, {"citation": citation})
        return chunks

    def _open_call(self, index: int | None, use: dict[str, Any], arguments: str) -> Chunk:
        call = self._calls.open(index)
        call.learn(id=use.get("toolUseId"), name=use.get("name"))
        chunk = self._call_chunk(call, arguments)
        if use.get("type") == "server_tool_use":
            chunk.metadata["type"] = "server_tool_use"
        return chunk


def _payload(event: BinaryEvent) -> dict[str, Any]:
    frame = parse(event.payload.decode("utf-8", "replace"))
    return frame if frame.__class__ is dict else {}
