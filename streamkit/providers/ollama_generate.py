"""
Ollama's completion API: one prompt, no conversation and no tools, text in ``response``.

Source: WIRE_FORMATS.md section 10.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.errors import ConfigurationError
from streamkit.providers.build import check_lacks, without_none
from streamkit.providers.fields import settle_fields
from streamkit.providers.ollama import OllamaChat, split_parts
from streamkit.providers.parts import check_messages
from streamkit.providers.prefill import prompted
from streamkit.request import Call, Request
from streamkit.wire.jsontext import parse

__all__ = ["OllamaGenerate"]


class OllamaGenerate(OllamaChat):
    """
    The dialect of ``/api/generate``, which reads as chat does but for the place of the text.

    The ``details`` of the usage also hold ``context``, the tokens of prompt and answer: given back
    through ``extra_body``, the next prompt goes on from there.

    Thread safety: **confined**; one instance reads one attempt.
    """

    @override
    def request(self, call: Call) -> Request:
        """
        ``POST {base}/api/generate``. ``raw``, ``suffix``, ``context`` and others: ``extra_body``.

        Raises:
            ConfigurationError: Tools, anything but one user message and system messages, an image
                that is no data URL or stands in a system message, or what cannot be sent.
        """
        check_lacks("ollama generate", call, "tools", "tool_choice", instead="use api='chat'")
        fields = _fields(call)
        return self._post("/api/generate", call, **fields)

    @override
    def prefill(self, call: Call, text: str) -> Call | None:
        """
        The call whose prompt ends with ``text``, but only with ``raw``: else a template makes the
        prompt a question, and what stands in it is not the model's own.
        """
        return prompted(call, text) if (call.extra_body or {}).get("raw") is True else None

    @override
    def feed(self, event: str) -> list[Chunk]:
        frame = parse(event)
        if frame.__class__ is not dict:
            return []
        # Nearly every line of an answer: text, not done, nothing else.
        text = frame.get("response")
        if (
            text
            and text.__class__ is str
            and frame.get("done") is False
            and self.model
            and not frame.get("thinking")
            and "image" not in frame
            and "logprobs" not in frame
            and "error" not in frame
        ):
            return [Chunk(text, 0, 0.0, False, None, {}, "text", None, self.model)]
        return self._read(frame)

    @override
    def _message(self, frame: dict[str, Any]) -> Any:
        text, thinking, image = frame.get("response"), frame.get("thinking"), frame.get("image")
        if not any(isinstance(value, str) for value in (text, thinking, image)):
            return None
        return {"content": text, "thinking": thinking, "images": [image]}


def _fields(call: Call) -> dict[str, Any]:
    """``system``, ``prompt`` and ``images`` of messages in OpenAI's form, or in Ollama's own."""
    check_messages(call.messages)
    above = [] if call.system is None else [call.system]
    prompts: list[tuple[str, list[Any]]] = []
    for message in settle_fields("ollama generate", call.messages, "images"):
        role, content = message["role"], message.get("content") or ""
        text, images = (content, []) if isinstance(content, str) else split_parts(content)
        images = images or message.get("images") or []
        if role in ("system", "developer"):
            if images:
                raise ConfigurationError("ollama generate takes images in the user message alone")
            above.append(text)
        elif role == "user":
            prompts.append((text, images))
        else:
            raise ConfigurationError(
                f"ollama generate takes no {role[:40]!r} message; use api='chat'"
            )
    if len(prompts) != 1:
        raise ConfigurationError(
            f"ollama generate takes one user message, got {len(prompts)}; use api='chat'"
        )
    prompt, images = prompts[0]
    return without_none(
        prompt=prompt, system="\n\n".join(above) if above else None, images=images or None
    )
