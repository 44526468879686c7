"""The wire formats a LocalProvider speaks, and the table of where."""

from __future__ import annotations

from collections.abc import Mapping

from streamkit.providers.compatible import COMPATIBLE
from streamkit.testing.dialects.accents import service_of
from streamkit.testing.dialects.anthropic import Anthropic
from streamkit.testing.dialects.base import Asked, Dialect, Said
from streamkit.testing.dialects.bedrock import BedrockConverse, BedrockInvoke
from streamkit.testing.dialects.cohere import Cohere
from streamkit.testing.dialects.completions import Completions
from streamkit.testing.dialects.gemini import Gemini, GeminiArray
from streamkit.testing.dialects.ollama import Ollama, OllamaGenerate
from streamkit.testing.dialects.openai import Mistral, OpenAI
from streamkit.testing.dialects.perplexity import Perplexity
from streamkit.testing.dialects.responses import Responses

__all__ = ["DIALECTS", "PREFIXES", "SERVICES", "Asked", "Dialect", "OpenAI", "Said", "dialect_for"]

#: End of the path -> dialect; the first that fits.
DIALECTS: Mapping[str, type[Dialect]] = {
    "/chat/completions": OpenAI,
    "/completions": Completions,
    "/responses": Responses,
    "/v1/messages": Anthropic,
    ":streamRawPredict": Anthropic,
    ":rawPredict": Anthropic,
    ":streamGenerateContent": GeminiArray,
    ":generateContent": Gemini,
    "/v2/chat": Cohere,
    "/api/chat": Ollama,
    "/api/generate": OllamaGenerate,
    "/converse-stream": BedrockConverse,
    "/converse": BedrockConverse,
    "/invoke-with-response-stream": BedrockInvoke,
    "/invoke": BedrockInvoke,
}

#: First segment of the path -> who speaks chat completions there, where no accent is enough.
SERVICES: Mapping[str, type[Dialect]] = {"mistral": Mistral, "perplexity": Perplexity}

#: What a client of each provider appends its paths to. The first segment names a service with
#: ways of its own; where there is none, the path a client appends says which dialect it speaks.
PREFIXES: Mapping[str, str] = {
    "openai": "/v1",
    "azure": "/azure",
    "anthropic": "",
    "gemini": "",
    "vertex": "/v1beta1/projects/local/locations/global",
    "mistral": "/mistral/v1",
    "perplexity": "/perplexity",
    "cohere": "/cohere",
    "bedrock": "",
    "ollama": "",
    **{name: f"/{name}/v1" for name in COMPATIBLE},
}


def dialect_for(path: str) -> type[Dialect] | None:
    """The dialect spoken at a path, None where none is."""
    bare, _, query = path.partition("?")
    kind = next((kind for end, kind in DIALECTS.items() if bare.endswith(end)), None)
    if kind is OpenAI:
        return SERVICES.get(service_of(path), OpenAI)
    if kind is GeminiArray and "alt=sse" in query.split("&"):
        return Gemini
    return kind
