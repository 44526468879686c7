"""
Azure OpenAI: the dialects of OpenAI, at addresses and with a key header of its own.

A base URL names a resource, which has a v1 API without versions and an older one whose versions are
dates; or it ends where one of its APIs begins, and is used as it stands:

    https://RES.openai.azure.com                          dated version: the older API; else v1
    https://RES.openai.azure.com/openai/v1                the v1 API; a dated version is not sent
    https://RES.openai.azure.com/openai/deployments/DEP   one deployment of the older API
    https://RES.services.ai.azure.com/models              Foundry's API for models of all makers

The version is Endpoint.params["api_version"]: ``?api-version=`` of the base URL, or the variable
OPENAI_API_VERSION.

Sources: WIRE_FORMATS.md sections 2.1 and 11; the official SDK, openai 3.52; the API lifecycle page
on learn.microsoft.com, as of October 2024.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

from typing_extensions import override

from streamkit.errors import ConfigurationError
from streamkit.providers.base import Endpoint
from streamkit.providers.dialect import Dialect
from streamkit.providers.openai import OpenAIChat
from streamkit.providers.openai_responses import OpenAIResponses
from streamkit.request import Call, Request

__all__ = ["AzureChat", "AzureResponses"]

CHAT = "/chat/completions"

DEPLOYMENTS = "/openai/deployments/"
V1 = "/openai/v1"
FOUNDRY = "/models"

#: Versions before refuse ``stream_options`` and ``max_completion_tokens``.
NEWER_FIELDS = "2024-09-01"


class _Azure(Dialect):
    """
    What both dialects share: the key's header and the list of models.

    A token of Entra is no key: it comes in AZURE_OPENAI_AD_TOKEN or as an Authorization header.

    Thread safety: **confined**; one instance reads one attempt.
    """

    @override
    def models_request(self) -> Request | None:
        """``GET`` the models of the resource, whichever of its APIs the base URL names."""
        request = super().models_request()
        return request and replace(request, url=_address(self.endpoint, "/models"))

    @override
    def _auth(self) -> dict[str, str]:
        key = self.endpoint.api_key
        return {} if key is None else {"api-key": key}


class AzureChat(_Azure, OpenAIChat):
    """
    The chat dialect; the model is the name of a deployment.

    Thread safety: **confined**; one instance reads one attempt.
    """

    @override
    def request(self, call: Call) -> Request:
        """
        ``POST`` to the chat completions of the API the base URL and the version mean.

        ``max_tokens`` goes as ``max_completion_tokens``, the only name newer models know; to
        Foundry and to versions before 2024-09-01, which do not know it, under its own. Those
        versions are not asked for usage either, which they refuse.

        Raises:
            ConfigurationError: A header or the body cannot be sent, or the model is no name for a
                path.
        """
        return replace(super().request(call), url=_address(self.endpoint, CHAT, call.model))

    @override
    def _limit_field(self) -> str:
        is_foundry = _split(self.endpoint.base_url)[1] == FOUNDRY
        return "max_tokens" if is_foundry or self._is_old() else "max_completion_tokens"

    @override
    def _body(self, call: Call) -> dict[str, Any]:
        body = super()._body(call)
        if self._is_old():
            del body["stream_options"]
        return body

    def _is_old(self) -> bool:
        form, version = _split(self.endpoint.base_url)[1], _version(self.endpoint)
        return form in ("", DEPLOYMENTS) and _is_dated(version) and version < NEWER_FIELDS


class AzureResponses(_Azure, OpenAIResponses):
    """
    The responses dialect; the model is the name of a deployment.

    Thread safety: **confined**; one instance reads one attempt.
    """

    @override
    def _url(self) -> str:
        """The responses of the resource; a deployment or Foundry has none of its own."""
        return _address(self.endpoint, "/responses")


def _address(endpoint: Endpoint, operation: str, model: str = "") -> str:
    """The URL of an operation; only chat is one of a deployment, and one that Foundry has."""
    base, version = endpoint.base_url, _version(endpoint)
    root, form = _split(base)
    query = f"?api-version={quote(version, safe='')}" if version else ""
    if operation == CHAT and form in (DEPLOYMENTS, FOUNDRY):
        return base + operation + query
    if _is_dated(version) and form in ("", DEPLOYMENTS):
        if operation == CHAT:
            return f"{root}{DEPLOYMENTS}{_segment(model)}{operation}{query}"
        return f"{root}/openai{operation}{query}"
    return root + V1 + operation + ("" if _is_dated(version) else query)


def _segment(model: str) -> str:
    """The name as one segment of a path; ".." is a step up for clients even where it is quoted."""
    if model in (".", ".."):
        raise ConfigurationError(f"a deployment's name must not be {model!r}")
    return quote(model, safe="", errors="replace")


def _split(base: str) -> tuple[str, str]:
    """The resource, and which of its APIs the URL names; "" for none."""
    root, mark, _ = base.rpartition(DEPLOYMENTS)
    if mark:
        return root, mark
    for form in (V1, FOUNDRY):
        if base.endswith(form):
            return base.removesuffix(form), form
    return base.removesuffix("/openai"), ""


def _version(endpoint: Endpoint) -> str:
    return endpoint.params.get("api_version", "")


def _is_dated(version: str) -> bool:
    return version[:1].isdigit()
