"""
OpenAI Chat Completions, and whatever speaks it.

The format is a lingua franca with accents: a delta may lack any member, hold null or "" in it,
repeat its role, or carry reasoning under one of three names. So the reader asks nothing of a frame
but that it is a JSON object, and takes what it knows.

Source: WIRE_FORMATS.md section 2, from recordings of some twenty services.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.providers.build import build_request, without_none
from streamkit.providers.dialect import parse_object
from streamkit.providers.openai_delta import says_more
from streamkit.providers.openai_frame import failed_part
from streamkit.providers.openai_reader import ChatReader
from streamkit.providers.roles import ROLES, check_roles
from streamkit.request import Call, Request
from streamkit.wire.jsontext import parse

if TYPE_CHECKING:
    from streamkit.wire.sse import Event

__all__ = ["OpenAIChat"]


class OpenAIChat(ChatReader):
    """
    The chat dialect. The first choice is the answer; the others would mix with it, and come as text
    chunks without content, with ``choice`` and ``content`` or ``finish_reason`` in their metadata.

    Other metadata:

    - ``audio``: data and transcript.
    - ``citation``: an annotation or source, as sent.
    - ``details``, beside ``usage``: what the service reports beside the counts.
    - ``filter_results``: Azure, where its filter found something.
    - ``image``: OpenRouter.
    - ``logprobs``.
    - ``reasoning_detail``: OpenRouter; a block of thinking that is signed or encrypted, to be sent
      back as it is.
    - ``server_tool`` and ``server_tool_result``: Groq.

    Thread safety: **confined**; one instance reads one attempt.
    """

    # Gateways append [DONE] to whatever they got, an empty or a broken answer too.
    terminal_is_complete = False
    models_path: ClassVar[str | None] = "/models"

    def request(self, call: Call) -> Request:
        """
        ``POST {base}/chat/completions``.

        Raises:
            ConfigurationError: The dialect cannot express the call, or it cannot be sent.
        """
        headers = {"Accept": "text/event-stream", **self._auth()}
        return build_request(self.endpoint, self._path(call), headers, self._body(call), call)

    @override
    def prefill(self, call: Call, text: str) -> Call | None:
        """The call that makes the model go on with ``text``, in the form of the service's row."""
        return self._prefilled(call, text)

    def _path(self, call: Call) -> str:
        return "/chat/completions"

    def _limit_field(self) -> str:
        """
        The field for ``max_tokens``: newer models of OpenAI refuse the old name, and other services
        know only that.
        """
        return "max_completion_tokens" if self.endpoint.provider == "openai" else "max_tokens"

    def _body(self, call: Call) -> dict[str, Any]:
        check_roles(call.messages, (*ROLES, "function"))
        messages = [*call.messages]
        if call.system is not None:
            messages.insert(0, {"role": "system", "content": call.system})
        body = without_none(
            model=call.model,
            messages=messages,
            stream=True,
            stream_options={"include_usage": True},
            temperature=call.temperature,
            top_p=call.top_p,
            stop=call.stop,
            seed=call.seed,
            tools=call.tools,
            tool_choice=call.tool_choice,
            response_format=call.response_format,
        )
        if call.max_tokens is not None:
            body[self._limit_field()] = call.max_tokens
        return body

    def feed(self, event: Event) -> list[Chunk]:
        """
        One event -> its chunks.

        Raises:
            ProviderError: The event is an error and nothing else.
            ProtocolError: The event is not JSON.
        """
        data = event.data
        if data[:1] != "{" or event.event == "error":
            return self._read_odd(event)
        frame = parse(data)
        # Nearly every event of an answer is one choice whose delta is text and nothing else. It is
        # read here, without the questions that all other frames are asked below.
        try:
            (choice,) = frame["choices"]
            delta = choice["delta"]
            text = delta["content"]
            plain = (
                text.__class__ is str
                and not choice.get("finish_reason")
                and not choice.get("index")
                and (
                    len(delta) == 1 or (len(delta) == 2 and "role" in delta) or not says_more(delta)
                )
                and not choice.get("logprobs")
                and not choice.get("error")
                and (
                    not (filtered := choice.get("content_filter_results"))
                    or filtered == self._unfiltered
                )
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            plain = False
        if (
            plain
            and text
            and self.response_id
            and self.model
            and frame.get("usage") is None
            and not frame.get("error")
            and "x_groq" not in frame
            and "citations" not in frame
            and "search_results" not in frame
        ):
            return [
                Chunk(text, 0, 0.0, False, None, {}, "text", None, self.model, self.response_id)
            ]
        return self._read(frame)

    def whole(self, body: bytes) -> list[Chunk] | None:
        """
        A ``chat.completion`` object -> its chunks; None if the body is not one.

        Raises:
            ProviderError: The body is an error object.
        """
        answer = parse_object(body)
        if answer is None or not (failed_part(answer) or self._is_answer(answer)):
            return None
        chunks = self._read(answer, "message")
        self.finished = True
        return chunks
