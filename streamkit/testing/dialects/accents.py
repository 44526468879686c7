"""
How services that speak OpenAI's formats differ: one row each, for what a reader may trip over.

A service without a row speaks as OpenAI does.

Source: WIRE_FORMATS.md sections 2.1, 2.2, 8, 11 and 16, and the recordings they rest on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from streamkit.testing.dialects.base import HOLE

__all__ = ["ACCENTS", "PLAIN", "Accent", "accent_of", "problem_of", "service_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Accent:
    """
    What a service does in its own way.

    Thread safety: **immutable**.

    Args:
        reasoning: The delta of thinking, with the HOLE for its text.
        usage: Reported in a chunk of its own if the request asks (OpenAI), in one whether it asks
            or not, or always with the finish reason.
        whole_tools: A tool call comes in one chunk.
        role: In every delta.
        first: Comes before the first chunk.
        fields: Members of every chunk.
        choice: Members of every choice.
        x_groq: Groq's own member holds the usage once more.
        raw_reasoning: The Responses API streams the thinking itself, not a summary of it.
        bare: The Responses API names no events, and ends with ``[DONE]``.
    """

    reasoning: Mapping[str, Any] = field(default_factory=lambda: {"reasoning_content": HOLE})
    usage: Literal["asked", "apart", "finish"] = "asked"
    whole_tools: bool = False
    role: bool = False
    first: bytes = b""
    fields: Mapping[str, Any] = field(default_factory=dict)
    choice: Mapping[str, Any] = field(default_factory=dict)
    x_groq: bool = False
    raw_reasoning: bool = False
    bare: bool = False


PLAIN = Accent()
_SHORT = {"reasoning": HOLE}

#: First segment of the path -> accent.
ACCENTS: Mapping[str, Accent] = {
    "azure": Accent(
        first=b'data: {"choices":[],"created":0,"id":"","model":"","object":"",'
        b'"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}\n\n',
        choice={"content_filter_results": {}},
    ),
    "mistral": Accent(
        reasoning={"content": [{"type": "thinking", "thinking": [{"type": "text", "text": HOLE}]}]},
        usage="finish",
        whole_tools=True,
        fields={"p": "abcdefgh"},
    ),
    "groq": Accent(reasoning=_SHORT, usage="finish", whole_tools=True, x_groq=True),
    "deepseek": Accent(usage="finish", raw_reasoning=True),
    "xai": Accent(whole_tools=True),
    "together": Accent(reasoning=_SHORT, usage="apart", role=True, choice={"text": ""}),
    "openrouter": Accent(
        reasoning=_SHORT,
        usage="apart",
        role=True,
        first=b": OPENROUTER PROCESSING\n\n",
        fields={"provider": "Local"},
        choice={"native_finish_reason": None},
        raw_reasoning=True,
        bare=True,
    ),
    "cerebras": Accent(reasoning=_SHORT, usage="finish"),
    "lmstudio": Accent(role=True, raw_reasoning=True),
    "ollama-openai": Accent(reasoning=_SHORT),
}

_KINDS: Mapping[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", None),
    404: ("invalid_request_error", "model_not_found"),
    422: ("invalid_request_error", None),
    429: ("requests", "rate_limit_exceeded"),
}


def service_of(path: str) -> str:
    """
    The first segment of a path, which names the service.

    >>> service_of("/groq/v1/chat/completions")
    'groq'
    """
    return path.removeprefix("/").partition("/")[0]


def accent_of(path: str) -> Accent:
    """How the service of a path speaks."""
    return ACCENTS.get(service_of(path), PLAIN)


def problem_of(path: str, status: int, message: str) -> Mapping[str, Any]:
    """The body of an HTTP error, in the shape of the service of a path."""
    kind, code = _KINDS.get(status, ("server_error", None))
    flat = {"message": message, "type": kind, "param": None, "code": code}
    match service_of(path):
        case "mistral" if status == 401:
            return {"detail": message}
        case "mistral" if status == 422:
            return {"detail": [{"type": kind, "loc": ["body"], "msg": message, "input": {}}]}
        case "mistral":
            return {"object": "error", **flat}
        case "cerebras":
            return flat
        case "openrouter":
            return {"error": {"message": message, "code": status}}
        case "azure":
            return {"error": {"code": code or str(status), "message": message}}
        case "huggingface" | "lmstudio":
            return {"error": message}
    return {"error": flat}
