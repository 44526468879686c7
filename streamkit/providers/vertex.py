"""
Vertex AI: Gemini and Claude at Google Cloud, below a project and a location.

The key is an access token, which lives for an hour: ``gcloud auth print-access-token``.

Source: WIRE_FORMATS.md sections 4 and 5; the official SDK, anthropic 2.11.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote

from typing_extensions import override

from streamkit.providers.anthropic import AnthropicMessages
from streamkit.providers.base import Endpoint
from streamkit.providers.dialect import Dialect
from streamkit.providers.gemini import Gemini
from streamkit.request import Call, Request

__all__ = ["Vertex", "VertexArray", "VertexMessages"]

MESSAGES_VERSION = "vertex-2023-10-16"

_BETA = re.compile(r"/v1beta1(?=/projects/)")


class Vertex(Gemini):
    """
    Gemini's dialect at Vertex AI.

    ``POST {base}/publishers/google/models/{model}:streamGenerateContent``, for a tuned model
    ``{base}/endpoints/{id}``; the base URL holds the version, the project and the location.

    Thread safety: **confined**; one instance reads one attempt.
    """

    models_path = None  # what a project may use is told by another API
    reasons = (
        "", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "BLOCKLIST",
        "PROHIBITED_CONTENT", "SPII", "MALFORMED_FUNCTION_CALL",
    )  # fmt: skip

    @override
    def _auth(self) -> dict[str, str]:
        return Dialect._auth(self)

    @override
    def _versioned(self) -> Endpoint:
        return self.endpoint

    @override
    def _place(self, model: str) -> str:
        kind, slash, name = model.partition("/")
        if slash and kind == "endpoints":
            return f"endpoints/{quote(name, safe='')}"
        return f"publishers/google/models/{quote(model.removeprefix('models/'), safe='@')}"


class VertexArray(Vertex):
    """
    The same without ``alt=sse``: one long JSON array.

    Thread safety: **confined**; one instance reads one attempt.
    """

    query = ""


class VertexMessages(AnthropicMessages):
    """
    Anthropic's dialect at Vertex AI.

    Thread safety: **confined**; one instance reads one attempt.
    """

    models_path = None

    @override
    def request(self, call: Call) -> Request:
        """
        ``POST {base}/publishers/anthropic/models/{model}:streamRawPredict``.

        The model is named in the address alone, the version of the API in the body. Claude is not
        below ``/v1beta1``, where Gemini is: a base URL for that is read as one below ``/v1``.

        Raises:
            ConfigurationError: As at Anthropic.
        """
        patch = {"model": None, "anthropic_version": MESSAGES_VERSION, **(call.extra_body or {})}
        request = super().request(replace(call, extra_body=patch))
        place = f"/publishers/anthropic/models/{quote(call.model, safe='@')}:streamRawPredict"
        return replace(request, url=_BETA.sub("/v1", self.endpoint.base_url) + place)

    @override
    def _auth(self) -> dict[str, str]:
        return Dialect._auth(self)
