"""
Bedrock's Converse: one form of messages and events for all its models, in AWS event-stream frames.

Bedrock's OpenAI endpoint (Mantle) is no dialect of this file: ``provider="openai"`` with its URL as
``base_url`` reads it.

Source: WIRE_FORMATS.md section 13; the official SDK, botocore 1.44. What goes out is in
bedrock_messages.py, what the events say in bedrock_reader.py; keys and signatures are in aws.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.errors import ProviderError
from streamkit.providers.aws import EVENT_STREAM, authorized, aws_failure, model_path
from streamkit.providers.base import Decoder
from streamkit.providers.bedrock_messages import (
    choice_of,
    convert_messages,
    convert_tool,
    output_of,
)
from streamkit.providers.bedrock_reader import ConverseReader, payload_of
from streamkit.providers.build import build_request, check_lacks, without_none
from streamkit.providers.dialect import parse_object
from streamkit.providers.prefill import claude_goes_on
from streamkit.providers.shape import as_index, as_object
from streamkit.request import Call, Request
from streamkit.wire.eventstream import BinaryEvent, EventStreamDecoder

__all__ = ["BedrockConverse"]


class BedrockConverse(ConverseReader):
    """
    The dialect of ``converse-stream``.

    Tools that the service runs are calls like all others here, with ``"type": "server_tool_use"``
    in their metadata; their results come as text chunks without content, with
    ``server_tool_result`` in theirs. So do images, with ``image``.

    Thread safety: **confined**; one instance reads one attempt.
    """

    cached_apart = True

    def request(self, call: Call) -> Request:
        """
        ``POST {base}/model/{model}/converse-stream``; the model is an id or an ARN.

        ``additionalModelRequestFields``, ``guardrailConfig`` and the like go in ``extra_body``.

        Raises:
            ConfigurationError: The call asks for what the API has not (seed, a response_format
                other than json_schema), a message cannot be converted or sent, or the request
                can be neither signed nor sent with a key.
        """
        check_lacks("bedrock converse", call, "seed")
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

    @override
    def prefill(self, call: Call, text: str) -> Call | None:
        """
        The call that makes a model of Claude go on with ``text``, as AnthropicMessages.prefill().

        What the models of others make of a last message of the assistant, AWS does not say.
        """
        options = (call.extra_body or {}).get("additionalModelRequestFields")
        if "claude" not in call.model or not claude_goes_on(call.model, options):
            return None
        return self._prefilled(call, text.rstrip())

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
        frame = payload_of(event)
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
