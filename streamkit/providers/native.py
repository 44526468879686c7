"""
The table of providers with formats of their own: one row each.

Sources: FACTS.md 2.1, WIRE_FORMATS.md sections 3 to 13.
"""

from __future__ import annotations

from collections.abc import Mapping

from streamkit.providers.address import bedrock_url, ollama_url, vertex_url
from streamkit.providers.service import CHAT, Service

__all__ = ["NATIVE"]

RESPONSES = "streamkit.providers.openai_responses:OpenAIResponses"
COMPLETIONS = "streamkit.providers.openai_completions:OpenAICompletions"

_ROWS = (
    Service(
        name="openai",
        dialects={"chat": CHAT, "responses": RESPONSES, "completions": COMPLETIONS},
        default_api="chat",
        base_url="https://api.openai.com/v1",
        key_env=("OPENAI_API_KEY",),
        base_env=("OPENAI_BASE_URL",),
        header_env={
            "OPENAI_ORG_ID": "OpenAI-Organization",
            "OPENAI_PROJECT_ID": "OpenAI-Project",
        },
    ),
    Service(
        name="azure",
        dialects={
            "chat": "streamkit.providers.azure:AzureChat",
            "responses": "streamkit.providers.azure:AzureResponses",
        },
        default_api="chat",
        key_env=("AZURE_OPENAI_API_KEY",),
        bearer_env=("AZURE_OPENAI_AD_TOKEN",),
        base_env=("AZURE_OPENAI_ENDPOINT",),
        param_env={"api_version": ("OPENAI_API_VERSION",)},
    ),
    Service(
        name="anthropic",
        dialects={"messages": "streamkit.providers.anthropic:AnthropicMessages"},
        default_api="messages",
        base_url="https://api.anthropic.com",
        key_env=("ANTHROPIC_API_KEY",),
        bearer_env=("ANTHROPIC_AUTH_TOKEN",),
        base_env=("ANTHROPIC_BASE_URL",),
        prefill="plain",
    ),
    Service(
        name="gemini",
        dialects={
            "sse": "streamkit.providers.gemini:Gemini",
            "array": "streamkit.providers.gemini:GeminiArray",
        },
        default_api="sse",
        base_url="https://generativelanguage.googleapis.com",
        key_env=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        base_env=("GOOGLE_GEMINI_BASE_URL",),
        param_env={"api_version": ("GOOGLE_GENAI_API_VERSION",)},
    ),
    Service(
        name="vertex",
        dialects={
            "sse": "streamkit.providers.vertex:Vertex",
            "array": "streamkit.providers.vertex:VertexArray",
            "messages": "streamkit.providers.vertex:VertexMessages",
        },
        default_api="sse",
        key_env=("GOOGLE_VERTEX_ACCESS_TOKEN",),
        base_env=("GOOGLE_VERTEX_BASE_URL",),
        param_env={
            "project": ("GOOGLE_CLOUD_PROJECT",),
            "location": ("GOOGLE_CLOUD_LOCATION",),
        },
        build_base=vertex_url,
        prefill="plain",
    ),
    Service(
        name="mistral",
        dialects={"chat": "streamkit.providers.mistral:MistralChat"},
        default_api="chat",
        base_url="https://api.mistral.ai/v1",
        key_env=("MISTRAL_API_KEY",),
        prefill="prefix",
    ),
    Service(
        name="perplexity",
        dialects={"chat": "streamkit.providers.perplexity:PerplexityChat"},
        default_api="chat",
        base_url="https://api.perplexity.ai",
        key_env=("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
    ),
    Service(
        name="cohere",
        dialects={"v2": "streamkit.providers.cohere:CohereChat"},
        default_api="v2",
        base_url="https://api.cohere.com",
        key_env=("CO_API_KEY",),
        base_env=("CO_API_URL",),
    ),
    Service(
        name="bedrock",
        dialects={
            "converse": "streamkit.providers.bedrock:BedrockConverse",
            "invoke": "streamkit.providers.bedrock_invoke:BedrockInvoke",
        },
        default_api="converse",
        key_env=("AWS_BEARER_TOKEN_BEDROCK",),
        base_env=("AWS_ENDPOINT_URL_BEDROCK_RUNTIME",),
        param_env={"region": ("AWS_REGION", "AWS_DEFAULT_REGION")},
        key_required=False,  # without one the AWS credentials sign
        build_base=bedrock_url,
        prefill="plain",
    ),
    Service(
        name="ollama",
        dialects={
            "chat": "streamkit.providers.ollama:OllamaChat",
            "generate": "streamkit.providers.ollama_generate:OllamaGenerate",
        },
        default_api="chat",
        base_url="http://127.0.0.1:11434",
        key_env=("OLLAMA_API_KEY",),
        base_env=("OLLAMA_HOST",),
        key_required=False,
        read_base=ollama_url,
        prefill="plain",
    ),
)

#: Name -> row.
NATIVE: Mapping[str, Service] = {service.name: service for service in _ROWS}
