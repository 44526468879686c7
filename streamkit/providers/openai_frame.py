"""
What a frame of a chat answer holds beside its choices: sources, filter results, times and costs.

Source: WIRE_FORMATS.md sections 2.2, 7, 8 and 11.
"""

from __future__ import annotations

from typing import Any

from streamkit.providers.shape import as_list, as_object, as_objects
from streamkit.providers.usage import CHAT, holds_more

__all__ = ["details_of", "failed_part", "flat_error", "is_filtered", "sources_of", "usage_of"]

#: Top-level members that say how the answer was made: llama.cpp, LM Studio, Cerebras, Azure.
_DETAILS = ("timings", "stats", "time_info", "latency_checkpoint")


def failed_part(frame: dict[str, Any]) -> dict[str, Any] | None:
    """The object that says the answer failed, under status 200; None where none does."""
    if frame.get("error") or frame.get("object") == "error":  # the latter is vLLM's older form
        return frame
    extra = frame.get("x_groq")  # why Groq stopped the stream early
    return extra if isinstance(extra, dict) and extra.get("error") else None


def flat_error(frame: dict[str, Any]) -> dict[str, Any] | None:
    """
    A frame that is an error without an ``error`` member; None where it is none.

    >>> flat_error({"message": "too many", "code": 429}), flat_error({"detail": "Unauthorized"})
    ({'message': 'too many', 'code': 429}, {'detail': 'Unauthorized'})

    Source: WIRE_FORMATS.md section 16: Cerebras, Hugging Face, Mistral, Cloudflare.
    """
    if frame.get("choices") is not None:
        return None
    named = isinstance(frame.get("message"), str) and ("code" in frame or "type" in frame)
    return frame if named or frame.get("detail") or frame.get("errors") else None


def usage_of(frame: dict[str, Any]) -> dict[str, Any]:
    """The raw usage object, which Groq may put in ``x_groq``; empty without one."""
    usage = frame.get("usage")
    if not usage and "x_groq" in frame:
        usage = as_object(frame["x_groq"]).get("usage")
    return as_object(usage)


def details_of(frame: dict[str, Any], usage: dict[str, Any]) -> dict[str, Any]:
    """
    What the service reports beside the counts: the usage object, if it holds more, and times.

    >>> details_of({"timings": {"predicted_ms": 9.5}}, {"prompt_tokens": 1, "cost": 0.006})
    {'prompt_tokens': 1, 'cost': 0.006, 'timings': {'predicted_ms': 9.5}}
    """
    found = dict(usage) if holds_more(usage, CHAT) else {}
    for name in _DETAILS:
        if frame.get(name):
            found[name] = frame[name]
    extra = frame.get("x_groq")
    if isinstance(extra, dict) and extra.get("usage_breakdown"):
        found["usage_breakdown"] = extra["usage_breakdown"]
    return found


def sources_of(cited: Any, results: Any) -> list[dict[str, Any]]:
    """
    The sources of an answer that searched: the URLs cited, with what the search results know.

    >>> sources_of(["u"], [{"url": "u", "title": "t"}, {"url": "v"}])
    [{'url': 'u', 'title': 't'}]
    """
    found = as_objects(results)
    known = {url: result for result in found if isinstance(url := result.get("url"), str)}
    cites = [item for item in as_list(cited) if item and isinstance(item, (str, dict))]
    if not cites:
        return found
    return [{"url": c, **known.get(c, {})} if isinstance(c, str) else c for c in cites]


def is_filtered(results: Any) -> bool:
    """Whether Azure's filter found anything: a category is filtered, detected or not safe."""
    return isinstance(results, dict) and any(
        isinstance(found, dict)
        and bool(
            found.get("filtered")
            or found.get("detected")
            or found.get("severity", "safe") not in ("safe", None)
        )
        for found in results.values()
    )
