"""The wire formats a LocalProvider speaks, and the table of where."""

from __future__ import annotations

from collections.abc import Mapping

from streamkit.testing.dialects.anthropic import Anthropic
from streamkit.testing.dialects.base import Dialect, Said, to_json
from streamkit.testing.dialects.ollama import Ollama
from streamkit.testing.dialects.openai import OpenAI

__all__ = ["DIALECTS", "Anthropic", "Dialect", "Ollama", "OpenAI", "Said", "dialect_for", "to_json"]

#: End of the path -> dialect; the first that fits.
DIALECTS: Mapping[str, type[Dialect]] = {
    "/chat/completions": OpenAI,
    "/v1/messages": Anthropic,
    "/api/chat": Ollama,
}


def dialect_for(path: str) -> type[Dialect] | None:
    """The dialect spoken at a path, None where none is."""
    bare = path.partition("?")[0]
    return next((kind for end, kind in DIALECTS.items() if bare.endswith(end)), None)
