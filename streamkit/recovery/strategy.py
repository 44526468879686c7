"""
What a model is asked that has to be told to go on: the continuation prompt. Pure.

The strategies differ in nothing else (DESIGN.md section 3):

    exact      the model sees all it said as its own message, and is asked to go on
    paragraph  the same up to the last paragraph; the unfinished one is quoted in the question
    summarize  the opening and the tail are quoted, for answers too long to be sent back

Where a service takes one message and no conversation, all that is shown is quoted in it.

Whatever the model makes of it, splice.py joins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from streamkit.recovery.recovery import Strategy
from streamkit.request import Call, Message

__all__ = ["continued", "continued_in_one"]

#: How much of a long answer ``summarize`` quotes, in characters. Chosen; not measured.
OPENING, TAIL = 600, 2400

_RULES = (
    "Continue it from exactly that point, as if it had never stopped, in the same language and "
    "format. Write only what comes next: no greeting, no comment on the interruption, and nothing "
    "that is there already. If it stops inside a word, begin with the rest of that word."
)

_QUOTED = (
    "You answered already, but the answer was cut off by a technical fault, right after its last "
    "character. It was, between the marks:\n<<<{}>>>\n"
)


def continued(call: Call, text: str, strategy: Strategy) -> Call:
    """
    The call that asks a model to go on after ``text``, which it said in answer to ``call``.

    A ``response_format`` is left out: with it a model has to begin a new document.
    """
    shown, question = _STRATEGIES[strategy](text)
    messages = list(call.messages)
    if shown:
        if messages and _is_text_of_assistant(messages[-1]):
            # The user had put the first words into the model's mouth.
            shown = messages.pop()["content"] + shown
        messages.append(Message.assistant(shown))
    messages.append(Message.user(question))
    return replace(call, messages=tuple(messages), response_format=None)


def continued_in_one(call: Call, text: str, strategy: Strategy) -> Call | None:
    """The same in the last message of ``call``; None if that is not the user's, or no text."""
    shown, question = _STRATEGIES[strategy](text)
    if shown:
        question = _QUOTED.format(text) + _RULES
    last = call.messages[-1] if call.messages else {}
    content = last.get("content")
    if last.get("role") != "user" or not isinstance(content, str):
        return None
    asked = {**last, "content": f"{content}\n\n{question}"}
    return replace(call, messages=(*call.messages[:-1], asked), response_format=None)


def _exact(text: str) -> tuple[str, str]:
    return text, (
        "Your answer was cut off by a technical fault, right after its last character. " + _RULES
    )


def _paragraph(text: str) -> tuple[str, str]:
    start = text.rstrip().rfind("\n\n") + 2
    if start < 2 or not text[:start].strip():
        return _exact(text)
    return text[:start].rstrip(), (
        "Your answer was cut off by a technical fault, in the paragraph that follows your message. "
        f"What was written of it, between the marks:\n<<<{text[start:]}>>>\n" + _RULES
    )


def _summarize(text: str) -> tuple[str, str]:
    if len(text) <= OPENING + TAIL:
        return _exact(text)
    return "", (
        "You answered already, but the answer was cut off by a technical fault. It began, between "
        f"the marks:\n<<<{text[:OPENING]}>>>\nIts last part, up to where it was cut:\n"
        f"<<<{text[-TAIL:]}>>>\n" + _RULES
    )


_STRATEGIES = {"exact": _exact, "paragraph": _paragraph, "summarize": _summarize}


def _is_text_of_assistant(message: Mapping[str, Any]) -> bool:
    return message.get("role") == "assistant" and isinstance(message.get("content"), str)
