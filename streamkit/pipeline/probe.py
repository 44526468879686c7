"""
Short questions to a service, asked and answered in the caller's thread: is it well, which models
has it.

Both ask for the list of models, which costs nothing and needs the key at most services. They go
through the transport, clocks and redaction that streams go through, and are asked once: no retry.

Perplexity, Bedrock and Vertex have no such list at the address of their streams. There health only
knocks: it tells an address that answers from one that does not, and nothing about the key, which is
not sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from streamkit.deadline import Clocks, Timeouts
from streamkit.errors import (
    ConfigurationError,
    LimitExceeded,
    ProtocolError,
    ProviderError,
    StreamkitError,
)
from streamkit.pipeline.http import refusal
from streamkit.pipeline.options import Limits
from streamkit.pipeline.redact import Redactor
from streamkit.providers.base import Provider
from streamkit.providers.models import next_page
from streamkit.request import Request, signed
from streamkit.transport.base import Link, Transport

__all__ = ["Health", "Probe"]

#: Pages of a list that are asked for; chosen: the longest, at 1000 or 100 to the page, has five.
MAX_PAGES = 20


@dataclass(frozen=True, slots=True)
class Health:
    """
    Whether a service can be used; true in a condition if it can.

    >>> "up" if Health(ok=False, reason="openai answered 401") else "down"
    'down'

    Thread safety: **immutable**.

    Args:
        ok: It answered as it should.
        reason: Why not, to be shown to people; empty if ok. Holds no key.
    """

    ok: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.ok


class Probe:
    """
    Asks one service.

    Thread safety: **confined**.

    Args:
        transport: Its connections are used, and kept.
        provider: The dialect, made for the endpoint that is asked.
        timeout: Seconds for all of it; None waits for ever. A name lookup may take longer: nothing
            can stop it.

    Raises:
        ConfigurationError: A timeout that is no positive number.
    """

    def __init__(
        self, transport: Transport, provider: Provider[Any], timeout: float | None
    ) -> None:
        self._transport = transport
        self._provider = provider
        self._limits = Limits()
        limit = Timeouts(connect=timeout, first=None, content=None, wire=None, total=timeout)
        self._link = Link(Clocks(limit))

    def health(self) -> Health:
        """See Client.health."""
        try:
            request = self._provider.models_request()
            if request is None:
                self._knock()
            else:
                self._provider.model_names(self._fetch(request))
        except ConfigurationError:
            raise
        except StreamkitError as error:
            hint = "; is base_url right?" if error.status == 404 else ""
            return Health(False, f"{error}{hint}")
        return Health(True)

    def models(self) -> list[str]:
        """See Client.models."""
        names = (name for page in self._pages() for name in self._provider.model_names(page))
        return list(dict.fromkeys(names))

    def _pages(self) -> Iterator[bytes]:
        first = self._provider.models_request()
        if first is None:
            raise ConfigurationError(f"{self._provider.endpoint.provider} has no list of models")
        url: str | None = first.url
        for _ in range(MAX_PAGES):
            if url is None:
                return
            body = self._fetch(replace(first, url=url))
            yield body
            following = next_page(first.url, body)
            url = None if following == url else following

    def _knock(self) -> None:
        """Without a list there is only the address: whatever it answers, somebody is there."""
        endpoint = self._provider.endpoint
        request = Request(
            method="GET",
            url=endpoint.base_url,
            headers=endpoint.headers,
            provider=endpoint.provider,
            allow_http=endpoint.allow_http,
        )
        try:
            self._fetch(request)
        except ProviderError as error:
            if error.status is None or error.status >= 500:
                raise

    def _fetch(self, request: Request) -> bytes:
        """The body of a good answer."""
        self._link.begin_attempt()
        request = signed(request)
        redactor = Redactor(request)
        try:
            stream = self._transport.open(request, self._link)
            try:
                if not 200 <= stream.status <= 299:
                    raise refusal(stream, request, self._provider, self._limits)
                body = bytearray()
                while data := stream.read():
                    body += data
                    if len(body) > self._limits.event:
                        raise LimitExceeded(
                            f"the list of models is over {self._limits.event} bytes",
                            limit=self._limits.event, observed=len(body),
                        )  # fmt: skip
                stream.finish()
            finally:
                stream.close()
            if body.lstrip()[:1] == b"<":
                raise ProtocolError(
                    f"{request.provider} answered with a web page; is base_url right?",
                    data=bytes(body[:200]),
                )
            return redactor.data(bytes(body))
        except StreamkitError as error:
            error.provider = error.provider or request.provider
            redactor.error(error)
            raise
