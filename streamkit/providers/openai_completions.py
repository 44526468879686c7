"""
OpenAI's legacy completions: a prompt instead of messages, and text instead of deltas.

Source: WIRE_FORMATS.md section 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.errors import ConfigurationError
from streamkit.providers.build import check_lacks, without_none
from streamkit.providers.fields import settle_fields
from streamkit.providers.openai import OpenAIChat
from streamkit.providers.prefill import prompted
from streamkit.request import Call
from streamkit.wire.jsontext import parse

if TYPE_CHECKING:
    from streamkit.wire.sse import Event

__all__ = ["OpenAICompletions"]


class OpenAICompletions(OpenAIChat):
    """
    The dialect of base models. It reads as the chat dialect does, but for where the text is.

    Thread safety: **confined**; one instance reads one attempt.
    """

    @override
    def feed(self, event: Event) -> list[Chunk]:
        """
        One event -> its chunks.

        Raises:
            ProviderError: The event is an error.
            ProtocolError: The event is not JSON.
        """
        data = event.data
        if data[:1] != "{" or event.event == "error":
            return self._read_odd(event)
        frame = parse(data)
        # As in the chat dialect: nearly every event is one choice whose text is all it says.
        try:
            (choice,) = frame["choices"]
            text = choice["text"]
            plain = (
                text.__class__ is str
                and not choice.get("finish_reason")
                and not choice.get("index")
                and not (choice.get("logprobs") or choice.get("error"))
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
        ):
            return [
                Chunk(text, 0, 0.0, False, None, {}, "text", None, self.model, self.response_id)
            ]
        return self._read(frame)

    @override
    def prefill(self, call: Call, text: str) -> Call | None:
        """The call whose prompt ends with ``text``: all that a base model does is go on."""
        return prompted(call, text)

    @override
    def _path(self, call: Call) -> str:
        return "/completions"

    @override
    def _body(self, call: Call) -> dict[str, Any]:
        service = f"{self.endpoint.provider} completions"
        lacks = ("system", "tools", "tool_choice", "response_format")
        check_lacks(service, call, *lacks, instead="use api='chat'")
        return without_none(
            model=call.model,
            prompt=_prompt_of(service, call),
            stream=True,
            stream_options={"include_usage": True},
            max_tokens=call.max_tokens,
            temperature=call.temperature,
            top_p=call.top_p,
            stop=call.stop,
            seed=call.seed,
        )

    @override
    def _delta_of(self, choice: dict[str, Any], member: str) -> Any:
        text = choice.get("text")
        return {"content": text} if isinstance(text, str) else None


def _prompt_of(service: str, call: Call) -> str:
    """The text of the only message. More than one would need the model's own chat template."""
    (message, *rest) = call.messages
    content = message.get("content")
    if rest or message.get("role") != "user" or not isinstance(content, str):
        raise ConfigurationError(
            f"{service} takes a prompt: one user message with text and nothing else; use api='chat'"
        )
    settle_fields(service, call.messages)
    return content
