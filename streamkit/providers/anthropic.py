"""
Anthropic Messages: the stream of content blocks.

Source: WIRE_FORMATS.md section 4. What goes out is in anthropic_messages.py, what the events say in
anthropic_reader.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.providers.anthropic_messages import (
    choice_of,
    convert_messages,
    convert_tool,
    output_of,
)
from streamkit.providers.anthropic_reader import MessagesReader
from streamkit.providers.build import build_request, check_lacks, without_none
from streamkit.providers.dialect import parse_object
from streamkit.providers.prefill import claude_goes_on
from streamkit.request import Call, Request
from streamkit.wire.jsontext import parse

if TYPE_CHECKING:
    from streamkit.wire.sse import Event

__all__ = ["AnthropicMessages"]

VERSION = "2023-06-01"

#: The API wants a limit in every request. This is the most that every model since Claude 3 takes;
#: an answer that reaches it ends with the outcome ``length``, so that the cut is seen.
MAX_TOKENS = 4096


class AnthropicMessages(MessagesReader):
    """
    The messages dialect.

    A thinking signature comes as a reasoning chunk without content, with ``signature`` in its
    metadata; a redacted thinking block likewise, with ``redacted``. Both are to be sent back.

    A tool that the service runs is a text chunk without content, with ``server_tool`` in its
    metadata: the block as sent, its input complete. So are its ``server_tool_result``, and a
    ``compaction``.

    Thread safety: **confined**; one instance reads one attempt.
    """

    models_path: ClassVar[str | None] = "/v1/models?limit=1000"
    cached_apart = True

    def request(self, call: Call) -> Request:
        """
        ``POST {base}/v1/messages``.

        Messages, tools, tool_choice and response_format in OpenAI's form are converted, all else is
        sent as it is.

        Raises:
            ConfigurationError: The call asks for what the API has not (seed, a response_format
                other than json_schema), or a message cannot be converted or sent.
        """
        service = self.endpoint.provider
        check_lacks(f"{service} messages", call, "seed")
        system, messages = convert_messages(call.system, call.messages, service)
        body = without_none(
            model=call.model,
            max_tokens=MAX_TOKENS if call.max_tokens is None else call.max_tokens,
            system=system,
            messages=messages,
            stream=True,
            temperature=call.temperature,
            top_p=call.top_p,
            stop_sequences=call.stop,
            tools=call.tools and [convert_tool(tool) for tool in call.tools],
            tool_choice=choice_of(call.tool_choice),
            output_config=output_of(call.response_format, service),
        )
        headers = {"Accept": "text/event-stream", **self._auth()}
        return build_request(self.endpoint, "/v1/messages", headers, body, call)

    @override
    def prefill(self, call: Call, text: str) -> Call | None:
        """
        The call that makes the model go on with ``text``, sent without the blanks at its end, which
        the API refuses.

        None with thinking, which excludes it, and for Claude 4.6 and later, which refuse it.

        Source: platform.claude.com, "Prefill Claude's response" and "Migration guide", 2026.
        """
        if not claude_goes_on(call.model, call.extra_body):
            return None
        return self._prefilled(call, text.rstrip())

    def feed(self, event: Event) -> list[Chunk]:
        """
        One event -> its chunks; an unknown type gives none.

        Raises:
            ProviderError: The event is an error.
            ProtocolError: The event is not JSON.
        """
        data = event.data
        if data[:1] != "{" or event.event == "error":
            return self._read_odd(event)
        frame = parse(data)
        # Nearly every event of an answer; read without the questions asked of all others below.
        if frame.get("type") == "content_block_delta":
            delta, id = frame.get("delta"), self.response_id
            if delta.__class__ is dict and delta.get("type") == "text_delta":
                text = delta.get("text")
                if text and text.__class__ is str:
                    return [Chunk(text, 0, 0.0, False, None, {}, "text", None, self.model, id)]
        return self._read(frame)

    def whole(self, body: bytes) -> list[Chunk] | None:
        """
        A ``message`` object -> its chunks; None if the body is not one.

        Raises:
            ProviderError: The body is an error object.
            LimitExceeded: It holds more values or calls than an answer may.
        """
        message = parse_object(body)
        if message is None:
            return None
        if message.get("error"):
            raise self._failure(message)
        blocks = message.get("content")
        if message.get("type") != "message" or not isinstance(blocks, list):
            return None
        self._identify(message.get("model"), message.get("id"))
        chunks: list[Chunk] = []
        for index, block in enumerate(blocks):
            if isinstance(block, dict):
                chunks += self._start_block(index, block)
                chunks += self._stop_block(index)
        chunks += self._merge_usage(message.get("usage"))
        self._finish(message.get("stop_reason"), chunks)
        self.finished = True
        return chunks

    @override
    def _auth(self) -> dict[str, str]:
        key = self.endpoint.api_key
        return {"anthropic-version": VERSION, **({} if key is None else {"x-api-key": key})}
