"""
How services are made to go on with an answer that broke off: its text as the last message.

What a service documents is in its row of the tables, by the name of a form below. Where nothing is
documented, such a message may be refused, or be read as one that has ended: the model would then
begin anew, in the middle of the text. So a service without a form is asked in words.

Sources, as of November 2026: platform.claude.com "Prefill Claude's response" and "Migration guide";
docs.aws.amazon.com "Anthropic Claude Messages API"; docs.mistral.ai "Prefix";
api-docs.deepseek.com "Chat Prefix Completion (Beta)"; alibabacloud.com Model Studio "Partial mode";
console.groq.com "Assistant Message Prefilling"; openrouter.ai API reference "Assistant Prefill";
docs.vllm.ai "OpenAI-Compatible Server", extra parameters; llama-server's option
``--no-prefill-assistant``; for Ollama its maintainers in ollama/ollama#6778.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from streamkit.request import Call, Message

__all__ = ["FORMS", "Form", "claude_goes_on", "prefilled", "prompted"]

#: ``claude-3-5-sonnet-20241022``, ``us.anthropic.claude-sonnet-4-5-20250929-v1:0``: a version is
#: one number or two, before or after the name of the family, and shorter than a date.
_CLAUDE = re.compile(r"claude-(?:[a-z]+-)?v?(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """
    One way to hand a model its own words.

    Thread safety: **immutable**.

    Args:
        message: Further fields of the last message.
        body: Further fields of the body.
        below: The end of the base URLs that know it; "" for all.
        repeats: The answer may begin with the words it was given, or all over.
    """

    message: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    below: str = ""
    repeats: bool = False


#: What a row says of its chat API -> how.
FORMS: Mapping[str, Form] = {
    "plain": Form(),
    # Groq's page does not say whether the answer repeats it; OpenRouter passes it on, and what
    # becomes of it is up to the model's own service.
    "unsure": Form(repeats=True),
    # Mistral's answers used to contain the prefix (vercel/ai#3256, SillyTavern#2557); no page says
    # that they no longer do.
    "prefix": Form(message={"prefix": True}, repeats=True),
    "beta-prefix": Form(message={"prefix": True}, below="/beta"),  # DeepSeek
    "partial": Form(message={"partial": True}),  # Alibaba
    # vLLM
    "continue": Form(body={"continue_final_message": True, "add_generation_prompt": False}),
}


def prefilled(form: Form, base_url: str, call: Call, text: str) -> Call | None:
    """The call whose last message is the text, in that form; None where it cannot be."""
    if not base_url.endswith(form.below) or not _has_free_choice(call):
        return None
    messages = _with_text(call.messages, text, form.message)
    if messages is None:
        return None
    return replace(
        call,
        messages=messages,
        response_format=None,
        extra_body={**(call.extra_body or {}), **form.body} or None,
    )


def _with_text(
    messages: tuple[Mapping[str, Any], ...], text: str, fields: Mapping[str, Any]
) -> tuple[Mapping[str, Any], ...] | None:
    """
    The messages with the text as the last one.

    Words that the user had put into the model's mouth are its beginning. None if the text is empty,
    or what it would go on from is more than text.
    """
    last = messages[-1] if messages else {}
    if not text:
        return None
    if last.get("role") != "assistant":
        return (*messages, Message(role="assistant", content=text, **fields))
    before = last.get("content")
    if not isinstance(before, str) or last.get("tool_calls"):
        return None
    return (*messages[:-1], {**last, "content": before + text, **fields})


def prompted(call: Call, text: str) -> Call | None:
    """The call whose prompt, its only message, ends with the text; None if it is no text."""
    (*rest, message) = call.messages
    content = message.get("content")
    if not text or rest or not isinstance(content, str):
        return None
    return replace(call, messages=({**message, "content": content + text},))


def claude_goes_on(model: str, options: Mapping[str, Any] | None) -> bool:
    """
    Whether a model of Claude goes on with its own words: those before 4.6 do, unless they think.

    A name that tells no version may be any model's; it is tried.

    Args:
        options: Where ``thinking`` would be.
    """
    thinking = (options or {}).get("thinking")
    if isinstance(thinking, Mapping) and thinking.get("type") in ("enabled", "adaptive"):
        return False
    found = _CLAUDE.search(model)
    return found is None or (int(found[1]), int(found[2] or 0)) < (4, 6)


def _has_free_choice(call: Call) -> bool:
    """
    Whether the model may answer with text: a forced call of a tool cannot follow words.

    A ``response_format`` does not stand against it, but has to go, as prefilled() does: held to a
    format, a model begins a new document.
    """
    return call.tool_choice in (None, "auto", "none")
