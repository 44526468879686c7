"""
What a service says went wrong -> the exception for it. Pure, and it never raises by itself.

Two doors: an HTTP error response (``http_failure``), and an error object in a stream that began
with status 200 (``stream_failure``). Neither lets the caller's key out, should the service echo it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from streamkit.errors import (
    AuthenticationError,
    ContentBlocked,
    InvalidRequest,
    Overloaded,
    ProviderError,
    RateLimited,
)
from streamkit.providers.base import Endpoint
from streamkit.providers.details import MAX_MESSAGE, Details, printable, read_details
from streamkit.request import Secret
from streamkit.wire.jsontext import is_whole, parse
from streamkit.wire.surrogates import clean

__all__ = ["http_failure", "request_id", "stream_failure", "without_secrets"]

#: Characters of a body that are kept. Source: PROMISES.md P63.
MAX_BODY = 64 * 1024

#: A shorter "key" is a place-holder for a local server ("none", "EMPTY"), and may be any word.
MIN_SECRET = 8

#: Source: PROMISES.md P50, as the official SDKs do.
RETRYABLE = frozenset({408, 409, 429, 500, 502, 503, 504, 529})

#: The first one present is what the service's support asks for.
REQUEST_ID_HEADERS = (
    "x-request-id",  # OpenAI and most others
    "request-id",  # Anthropic
    "x-amzn-requestid",
    "apim-request-id",  # Azure
    "x-generation-id",  # OpenRouter
    "cf-ray",  # whoever stands behind Cloudflare and sends none of the above
)

_TRANSIENT: dict[type[ProviderError], str] = {
    RateLimited: "ratelimit ratelimitexceeded ratelimitreached toomanyrequests throttling",
    Overloaded: (
        "overloaded server internal internalserver serverunavailable serviceunavailable"
        " unavailable api timeout requesttimeout gatewaytimeout modelstream modeltimeout"
    ),
}
_FINAL: dict[type[ProviderError], str] = {
    # A quota that is used up does not come back by waiting seconds.
    RateLimited: "insufficientquota quotaexceeded billinghardlimitreached billingnotactive",
    AuthenticationError: (
        "authentication permission invalidapikey unauthorized permissiondenied accessdenied"
    ),
    InvalidRequest: (
        "invalidrequest badrequest notfound requesttoolarge contextlengthexceeded modelnotfound"
        " invalidparameter invalidargument invalidprompt validation tooluse toolusefailed billing"
    ),
    ContentBlocked: "contentfilter contentpolicyviolation datainspectionfailed",
}
#: A service's word for an error, as ``_key`` folds it -> the class, and whether it may pass.
_WORDS: dict[str, tuple[type[ProviderError], bool]] = {
    word: (kind, transient)
    for table, transient in ((_TRANSIENT, True), (_FINAL, False))
    for kind, words in table.items()
    for word in words.split()
}


def http_failure(
    endpoint: Endpoint,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    word: str | None = None,
) -> ProviderError:
    """
    An HTTP error response -> the exception for it.

    ``retry_after`` stays None: whoever retries reads the header, with its own clock.

    Args:
        endpoint: Names the service in the message; its secrets are taken out of it.
        status: 400 or above.
        headers: Found by lower-case name.
        body: JSON, SSE, HTML or text; may be cut anywhere.
        word: The service's type of the error, where it is not among the places all look in.
    """
    text = without_secrets(body[:MAX_BODY].decode("utf-8", "replace"), endpoint)
    details = _read_body(text, endpoint)
    if word and not details.type:
        details = details._replace(type=printable(without_secrets(word, endpoint), 100))
    blocked = _class_of_words(details)[0] is ContentBlocked
    kind = ContentBlocked if blocked else _class_of_status(status)
    may_pass = status in RETRYABLE and not _is_used_up(details)
    verdict = headers.get("x-should-retry", "").strip().lower()
    retryable = verdict == "true" if verdict in ("true", "false") else may_pass
    found = request_id(headers) or details.request_id
    return kind(
        _sentence(f"{endpoint.provider} answered {status}", details, found, _phrase(status)),
        provider=endpoint.provider,
        status=status,
        message=details.message,
        code=details.code,
        type=details.type,
        body=text,
        request_id=found,
        retryable=retryable,
    )


def stream_failure(endpoint: Endpoint, frame: Any) -> ProviderError:
    """
    An error in a stream -> the exception; ``retryable`` where the service calls it transient.

    Args:
        endpoint: As for http_failure.
        frame: The parsed event that holds the error, or its text where it is not JSON.
    """
    if isinstance(frame, str) and frame[:1] == '"' and is_whole(frame):
        frame = parse(frame)  # words in a JSON string
    text = frame if isinstance(frame, str) else json.dumps(frame, ensure_ascii=False)
    text = without_secrets(clean(text), endpoint)[:MAX_BODY]
    details = _read_body(text, endpoint)
    kind, retryable = _class_of_words(details)
    return kind(
        _sentence(f"{endpoint.provider} failed in the stream", details, details.request_id, ""),
        provider=endpoint.provider,
        message=details.message,
        code=details.code,
        type=details.type,
        body=text,
        request_id=details.request_id,
        retryable=retryable,
    )


def request_id(headers: Mapping[str, str]) -> str | None:
    """The service's own id of a request, from the headers of any response; None without one."""
    for name in REQUEST_ID_HEADERS:
        value = headers.get(name)
        if value:
            return printable(value, 200)
    return None


def _read_body(text: str, endpoint: Endpoint) -> Details:
    """The details a body holds, whatever its form."""
    details = read_details(text)
    # Once more, unescaped: "sk\\u002d1234" is the key only after the JSON has been read.
    message = details.message and without_secrets(details.message, endpoint)
    return details._replace(message=message)


def _class_of_status(status: int) -> type[ProviderError]:
    if status in (401, 403):
        return AuthenticationError
    if status == 429:
        return RateLimited
    if status >= 500:
        return Overloaded
    return InvalidRequest if status >= 400 else ProviderError


def _is_used_up(details: Details) -> bool:
    """Whether it is a quota that the next seconds will not fill, which also has the status 429."""
    words = details.code, details.type
    return any(_WORDS.get(_key(str(word))) == (RateLimited, False) for word in words)


def _class_of_words(details: Details) -> tuple[type[ProviderError], bool]:
    if _is_used_up(details):
        return RateLimited, False
    for value in (details.code, details.type):
        key = _key(str(value))
        if key.isascii() and key.isdigit() and len(key) == 3 and key >= "400":
            return _class_of_status(int(key)), int(key) in RETRYABLE
        if key in _WORDS:
            return _WORDS[key]
    return ProviderError, False


def _key(word: str) -> str:
    """
    Fold the ways of writing one word: ``rate_limit_error``, ``RateLimitError``, ``RateLimit``.
    """
    key = "".join(filter(str.isalnum, word)).lower()
    return key.removesuffix("exception").removesuffix("error")


def _sentence(opening: str, details: Details, found: str | None, phrase: str) -> str:
    """``openai answered 429: Rate limit reached (code rate_limit_exceeded)``."""
    notes = []
    if details.code is not None:
        notes.append(f"code {details.code}")
    elif details.type:
        notes.append(f"type {details.type}")
    if found:
        notes.append(f"request {found}")
    message = printable(details.message, MAX_MESSAGE) if details.message else phrase
    return (
        opening + (f": {message}" if message else "") + (f" ({', '.join(notes)})" if notes else "")
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def without_secrets(text: str, endpoint: Endpoint) -> str:
    """``text`` without the endpoint's secrets; one that the end of the text cuts goes too."""
    for value in (endpoint.api_key, *endpoint.headers.values()):
        if not isinstance(value, Secret):
            continue
        secret = value.removeprefix("Bearer ")
        if len(secret) < MIN_SECRET:
            continue
        text = text.replace(secret, "[redacted]")
        for length in range(len(secret) - 1, MIN_SECRET - 1, -1):
            if text.endswith(secret[:length]):
                text = text[:-length] + "[redacted]"
                break
    return text
