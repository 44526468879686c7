"""
Lists of models: what each service answers to the question which models it has. One: ``local``.

Source: the official SDKs (openai 3.52, anthropic 2.11, google-genai 3.4, cohere 7.3, ollama 0.6.3),
which read these; for Together, whose SDK asks another API, its API reference.
"""

from __future__ import annotations

from typing import Any

from streamkit.testing.dialects import Dialect, OpenAI
from streamkit.testing.dialects.accents import service_of
from streamkit.testing.dialects.anthropic import Anthropic
from streamkit.testing.dialects.cohere import Cohere
from streamkit.testing.dialects.gemini import Gemini
from streamkit.testing.dialects.ollama import Ollama
from streamkit.testing.record import RecordedRequest

__all__ = ["listing"]

_DATE = "2026-01-01T00:00:00Z"
_OPENAI = {"id": "local", "object": "model", "created": 1767225600, "owned_by": "streamkit"}
_ANTHROPIC = {"type": "model", "id": "local", "display_name": "Local", "created_at": _DATE}
_OLLAMA = {"name": "local", "model": "local", "modified_at": _DATE, "size": 0, "digest": "local"}
_GEMINI = {
    "name": "models/local",
    "displayName": "Local",
    "supportedGenerationMethods": ["generateContent"],
}


def listing(request: RecordedRequest) -> tuple[type[Dialect], Any]:
    """Who is asked for its models, and the answer; OpenAI and None where the question is other."""
    bare = request.path.partition("?")[0]
    if request.method == "GET" and bare.endswith("/api/tags"):
        return Ollama, {"models": [_OLLAMA]}
    if request.method != "GET" or not bare.endswith("/models"):
        return OpenAI, None
    if "/v1beta/" in bare or "x-goog-api-key" in request.headers:
        return Gemini, {"models": [_GEMINI]}
    if service_of(bare) == "cohere":
        return Cohere, {"models": [{"name": "local", "endpoints": ["chat"]}]}
    if service_of(bare) == "together":
        return OpenAI, [_OPENAI]
    if "anthropic-version" in request.headers:
        ends = {"first_id": "local", "last_id": "local", "has_more": False}
        return Anthropic, {"data": [_ANTHROPIC], **ends}
    return OpenAI, {"object": "list", "data": [_OPENAI]}
