"""
What the dialects of Bedrock share: the path of a model, the signature, how AWS tells an error.

A Bedrock key goes as Bearer and needs nothing else. Without one, requests are signed (SigV4) by
botocore, the extra ``aws``, with the credentials it finds: environment, profile, container, host.

Source: WIRE_FORMATS.md section 13; the official SDK, botocore 1.44.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlsplit

from typing_extensions import override

from streamkit.errors import (
    AuthenticationError,
    ConfigurationError,
    ProtocolError,
    ProviderError,
)
from streamkit.extras import require
from streamkit.process import generation
from streamkit.providers.base import Endpoint
from streamkit.providers.dialect import parse_object
from streamkit.providers.failure import MAX_BODY, http_failure
from streamkit.providers.shape import as_object
from streamkit.request import Request, Secret
from streamkit.wire.eventstream import BinaryEvent
from streamkit.wire.jsontext import parse

__all__ = ["EVENT_STREAM", "Signer", "authorized", "aws_failure", "model_path", "problem_of"]

EVENT_STREAM = "application/vnd.amazon.eventstream"

#: A request that has one of these carries a key already: ours, or the user's own to a gateway.
_AUTH_HEADERS = frozenset({"authorization", "x-api-key", "api-key"})

_MISSING = "no Bedrock key and no AWS {}: set AWS_BEARER_TOKEN_BEDROCK or pass api_key=, or {}"

#: Also those of private links and of FIPS: vpce-1.bedrock-runtime-fips.us-east-1.vpce...
_REGION = re.compile(r"(?:^|\.)bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")

#: The credentials last found, under the environment they were found in.
_found: dict[object, Any] = {}


def model_path(model: str) -> str:
    """
    The path of a model id or ARN, as one segment.

    >>> model_path("anthropic.claude-v2:1")
    '/model/anthropic.claude-v2%3A1'

    Raises:
        ConfigurationError: It is ``.`` or ``..``, which no quoting keeps from naming another path.
    """
    if model in (".", ".."):
        raise ConfigurationError(f"model must be a model id or an ARN, got {model!r}")
    return "/model/" + quote(model, safe="", errors="replace")


def authorized(request: Request, endpoint: Endpoint) -> Request:
    """
    The request as it is, if it carries a key; else one that is signed anew for each send.

    Looking for credentials may read files and, in containers and on hosts of AWS, ask the service
    there. What was found is kept while the AWS variables of the environment stay as they are.

    Raises:
        ConfigurationError: There is no key, and no botocore, no credentials, or no region to sign
            for.
    """
    if not _AUTH_HEADERS.isdisjoint(name.lower() for name in request.headers):
        return request
    return replace(request, sign=Signer(_region(endpoint), _credentials()))


class Signer:
    """
    Makes the headers that sign a request: see ``Request.sign``.

    Signed are the host, the content type and the ``x-amz`` headers; whatever else the transport,
    a session or a proxy adds or changes does no harm.

    Thread safety: **shared**, as botocore's credentials are.
    """

    __slots__ = ("_credentials", "region")

    def __init__(self, region: str, credentials: Any) -> None:
        self.region = region
        self._credentials = credentials

    def __call__(self, request: Request) -> dict[str, str]:
        """
        The signature of now.

        Raises:
            AuthenticationError: Credentials that had to be renewed could not be.
        """
        try:
            return self._sign(request)
        except Exception as error:  # of any provider of credentials; its text may hold one
            problem = type(error).__name__
        raise AuthenticationError(
            f"the AWS credentials cannot be renewed ({problem})", provider=request.provider
        )

    def _sign(self, request: Request) -> dict[str, str]:
        # Step by step: SigV4Auth.add_auth() would log the session token at level DEBUG.
        keys = self._credentials.get_frozen_credentials()
        made = {"X-Amz-Date": _now().strftime("%Y%m%dT%H%M%SZ")}
        if keys.token:
            made["X-Amz-Security-Token"] = Secret(keys.token)
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() in ("host", "content-type") or name.lower().startswith("x-amz")
        }
        new = _botocore("awsrequest").AWSRequest
        unsigned = new(
            method=request.method, url=request.url, headers={**headers, **made}, data=request.body
        )
        unsigned.context["timestamp"] = made["X-Amz-Date"]
        auth = _botocore("auth").SigV4Auth(keys, "bedrock", self.region)
        text = auth.string_to_sign(unsigned, auth.canonical_request(unsigned))
        made["Authorization"] = Secret(
            f"AWS4-HMAC-SHA256 Credential={auth.scope(unsigned)}, "
            f"SignedHeaders={auth.signed_headers(auth.headers_to_sign(unsigned))}, "
            f"Signature={auth.signature(text, unsigned)}"
        )
        return made

    @override
    def __repr__(self) -> str:
        return f"Signer({self.region!r})"

    @override
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("credentials are never pickled; look for them on the other side")


def aws_failure(
    endpoint: Endpoint, status: int, headers: Mapping[str, str], body: bytes
) -> ProviderError:
    """
    An HTTP error of AWS. Its type stands in a header, ``ValidationException:http://...``, or else
    in the body's ``__type``, ``com.amazon.coral.validate#ValidationException``.
    """
    name = headers.get("x-amzn-errortype") or _type_in(body)
    name = name.rpartition("#")[2].partition(":")[0]
    return http_failure(endpoint, status, headers, body, word=name)


def problem_of(event: BinaryEvent) -> dict[str, Any] | None:
    """
    What an exception or error event says, in the form other services use; None for all others.

    Raises:
        LimitExceeded: It holds too many values.
    """
    headers = event.headers
    kind = headers.get(":message-type")
    if kind == "exception":
        said = parse_object(event.payload)
        if said is None:
            said = {"message": event.payload.decode("utf-8", "replace")}
        return {"error": {**said, "type": str(headers.get(":exception-type", ""))}}
    if kind == "error":
        message = str(headers.get(":error-message", ""))
        return {"error": {"type": str(headers.get(":error-code", "")), "message": message}}
    return None


def _type_in(body: bytes) -> str:
    said = None
    with suppress(ProtocolError):  # no JSON
        said = as_object(parse(body[:MAX_BODY].decode("utf-8", "replace"))).get("__type")
    return said if isinstance(said, str) else ""


def _region(endpoint: Endpoint) -> str:
    """The one the host names, as a signature for another is refused; else that of the user."""
    named = _REGION.search(urlsplit(endpoint.base_url).hostname or "")
    region = named[1] if named else endpoint.params.get("region")
    if not region:
        raise ConfigurationError(_MISSING.format("region to sign for", "set AWS_REGION"))
    return region


def _credentials() -> Any:
    chosen = {name: Secret(value) for name, value in os.environ.items() if name[:4] == "AWS_"}
    key = (generation(), *sorted(chosen.items()))
    credentials = _found.get(key)
    if credentials is None:
        credentials = _find_credentials()
        _found.clear()
        _found[key] = credentials
    return credentials


def _find_credentials() -> Any:
    problem, credentials = "", None
    session = _botocore("session").Session()
    try:
        credentials = session.get_credentials()
    except Exception as error:  # of any provider of credentials; its text may hold one
        problem = type(error).__name__
    if problem:
        raise ConfigurationError(f"the AWS credentials cannot be read ({problem})")
    if credentials is None:
        raise ConfigurationError(
            _MISSING.format("credentials", "set AWS_ACCESS_KEY_ID or AWS_PROFILE")
        )
    return credentials


def _botocore(module: str) -> Any:
    what = "signing for Bedrock, without AWS_BEARER_TOKEN_BEDROCK or api_key=,"
    return require(f"botocore.{module}", extra="aws", what=what)


def _now() -> datetime:
    return datetime.now(timezone.utc)
