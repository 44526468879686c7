"""
What the dialects of this folder share: the state of one answer, and how its oddities are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from streamkit.chunk import Chunk, Kind, Usage
from streamkit.errors import LimitExceeded, ProtocolError, ProviderError
from streamkit.providers.base import Endpoint, Resume
from streamkit.providers.build import checked_headers
from streamkit.providers.calls import OpenCall, OpenCalls
from streamkit.providers.failure import http_failure, stream_failure, without_secrets
from streamkit.providers.models import read_names
from streamkit.providers.prefill import FORMS, prefilled
from streamkit.request import Call, Request, Secret
from streamkit.wire.jsontext import parse
from streamkit.wire.surrogates import clean, clean_deep

__all__ = ["Dialect", "parse_object"]


class Dialect:
    """
    The half of the Provider protocol that does not depend on the wire format.

    Thread safety: **confined**; one instance reads one attempt.
    """

    #: See Provider.
    terminal_is_complete = True

    #: Where the list of models is, below the base URL; None where the service has none.
    models_path: ClassVar[str | None] = None

    #: Whether input_tokens leave out what was read from or written to a cache. Costs depend on it.
    cached_apart: ClassVar[bool] = False

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.finish_reason: str | None = None
        self.finished = False
        self.model: str | None = None
        self.response_id: str | None = None
        self.blocked: str | None = None
        self.failure: ProviderError | None = None
        self.repeats_prefill = endpoint.prefill is not None and FORMS[endpoint.prefill].repeats
        self._calls = OpenCalls()
        self._usage = Usage()
        self._details: dict[str, Any] = {}

    def prefill(self, call: Call, text: str) -> Call | None:
        """The call that makes the model go on with ``text``; None where the service cannot."""
        return None

    def _prefilled(self, call: Call, text: str) -> Call | None:
        """The same for a chat API, as the service's row of the table says."""
        if self.endpoint.prefill is None:
            return None
        return prefilled(FORMS[self.endpoint.prefill], self.endpoint.base_url, call, text)

    def resume(self, request: Request, received: int) -> Resume | None:
        """What asks for the rest of the answer; None where the service cannot."""
        return None

    def flush(self) -> list[Chunk]:
        """Nothing is ever held back."""
        return []

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """An HTTP error response -> the exception for it; never raises."""
        return http_failure(self.endpoint, status, headers, body)

    def models_request(self) -> Request | None:
        """``GET {base}{models_path}``; None where the service has no list."""
        if self.models_path is None:
            return None
        headers = {"Accept": "application/json", **self._auth()}
        return Request(
            method="GET",
            url=self.endpoint.base_url + self.models_path,
            headers=checked_headers(headers, self.endpoint.headers),
            provider=self.endpoint.provider,
            allow_http=self.endpoint.allow_http,
        )

    def model_names(self, body: bytes) -> list[str]:
        """
        The names in a list of models, whatever the member that holds them is called.

        Raises:
            ProtocolError: It is no such list.
        """
        return read_names(body)

    def _auth(self) -> dict[str, str]:
        """The headers that carry the key."""
        key = self.endpoint.api_key
        return {} if key is None else {"Authorization": Secret(f"Bearer {key}")}

    def _failure(self, frame: Any) -> ProviderError:
        return stream_failure(self.endpoint, frame)

    def _chunk(self, content: str, kind: Kind, metadata: dict[str, Any] | None = None) -> Chunk:
        # By position: keywords cost twice as much (1.0 us against 0.5, measured, CPython 3.11).
        return Chunk(
            content, 0, 0.0, False, None, metadata or {}, kind, None, self.model, self.response_id
        )

    def _call_chunk(self, call: OpenCall, fragment: str) -> Chunk:
        return self._chunk(fragment, "tool_call", call.metadata())

    def _identify(self, model: Any, response_id: Any) -> None:
        """The first model and id that say something stay."""
        if not self.model and isinstance(model, str):
            self.model = self._clean(model) or None
        if not self.response_id and isinstance(response_id, str):
            self.response_id = self._clean(response_id) or None

    def _clean(self, name: str) -> str:
        """A word that every chunk shows: text, and without the key, which a server may echo."""
        return without_secrets(clean(name), self.endpoint)

    def _report_usage(self, usage: Usage, details: dict[str, Any] | None = None) -> list[Chunk]:
        """
        A usage chunk, unless it repeats the one before (Perplexity sends it with each delta).

        ``details`` is what the service reports beside the counts: times, cost, counts of its own.
        What was known of them stays known, so that the last report says all.
        """
        known = {**self._details, **clean_deep(details)} if details else self._details
        if usage == self._usage and known == self._details:
            return []
        self._usage, self._details = usage, known
        metadata: dict[str, Any] = {"usage": usage}
        if known:
            metadata["details"] = dict(known)
        return [self._chunk("", "usage", metadata)]

    def _finish(self, reason: Any, chunks: list[Chunk]) -> None:
        """The last reason that says something stays, and goes on the last chunk it came with."""
        if isinstance(reason, str) and reason:
            self.finish_reason = self._clean(reason)
            if chunks:
                chunks[-1].finish_reason = self.finish_reason


def parse_object(body: bytes) -> dict[str, Any] | None:
    """
    A body that is one JSON object -> its members; None if it is anything else.

    Raises:
        LimitExceeded: It holds too many values.
    """
    try:
        value = parse(body.decode("utf-8", "replace").lstrip("\ufeff"))
    except LimitExceeded:
        raise
    except ProtocolError:
        return None
    return value if isinstance(value, dict) else None
