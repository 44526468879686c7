"""
The chunks of one attempt over HTTP: a request, its answer's bytes, and a head that reads them.

A broken answer is carried on by another request, or by the rest of the same answer; what that needs
of the last one is kept here (Carrier).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time
from typing import Any
from urllib.parse import urlsplit

from streamkit.chunk import Chunk
from streamkit.errors import ConfigurationError, ProviderError, StreamkitError, TransportError
from streamkit.pipeline.carry import Way
from streamkit.pipeline.chain import Head
from streamkit.pipeline.options import Limits
from streamkit.pipeline.redact import Redactor
from streamkit.providers.base import Provider
from streamkit.providers.failure import request_id
from streamkit.recovery.recovery import Strategy
from streamkit.recovery.retry import retry_after
from streamkit.recovery.strategy import continued, continued_in_one
from streamkit.request import Call, Request, signed
from streamkit.transport.base import ByteStream, Link, Transport

__all__ = ["HttpFeed", "HttpSource", "refusal"]


class HttpSource:
    """
    One request to a provider, sent as often as the attempt loop asks.

    A broken answer is carried on by another request, or by the same answer's rest; see Carrier.

    Thread safety: **confined** to the reading thread.

    Args:
        call: What ``request`` asks; without it nothing can be carried on.
    """

    def __init__(
        self,
        transport: Transport,
        request: Request,
        new_provider: Callable[[], Provider[Any]],
        limits: Limits,
        call: Call | None = None,
    ) -> None:
        self._transport = transport
        self._first = self._request = request
        self._call = call
        #: Whether a broken answer may be carried on; else nothing of it is kept.
        self.carries = False
        #: What the last answer's rest is asked for with, what reads it, and from which byte.
        self._rest: tuple[Request, Head, int] | None = None
        self._head: Head | None = None  # of the answer whose rest comes next
        self._offset = 0
        self._how = ""  # the rest is asked for
        self._refused: set[str] = set()
        self._new_provider = new_provider
        self._limits = limits
        self._redactor = Redactor(request)  # of the request last sent
        self.headers: Mapping[str, str] = {}
        self._tally: dict[str, float] = {}
        self.tally: Mapping[str, float] = self._tally

    def open(self, link: Link) -> HttpFeed:
        """
        Send the request; an HTTP error status raises.

        Raises:
            ProviderError: The service said no.
            TransportError: It could not be asked, or it pointed elsewhere.
        """
        request = signed(self._request)
        self._redactor = Redactor(request)
        try:
            stream = self._transport.open(request, link)
            self.headers = self._redactor.headers(stream.headers)
            try:
                if not 200 <= stream.status <= 299:
                    raise refusal(stream, request, self._new_provider(), self._limits)
                head = self._head or self._anew(self._new_provider())
                keep = self._keep(request, head) if self.carries else None
                return HttpFeed(stream, head, self._redactor, keep)
            except BaseException:
                stream.close()
                del stream  # its headers may echo the key, and a traceback holds this frame
                raise
        except StreamkitError as error:
            self._redactor.error(error)
            raise

    def _keep(self, request: Request, head: Head) -> Callable[[int], None]:
        """What notes, when an answer's feed closes, how its rest could be had."""
        before = self._offset if self._head is head else 0
        resume = getattr(head.provider, "resume", None)  # a dialect of yours may have none
        begun = resume(request, before) if resume else None
        head.reopens = begun is not None and begun.by == "offset"
        if resume is not None and "resumed" not in self._refused:
            head.is_kept = lambda: resume(request, before) is not None

        def keep(received: int) -> None:
            self._rest = None
            found = resume(request, before + received) if resume and head.error is None else None
            if found is not None:
                on = head if found.by == "offset" else self._anew(head.provider)
                self._rest = found.request, on, before + received

        return keep

    def _anew(self, provider: Provider[Any]) -> Head:
        return Head(provider, self._limits, self._tally)

    def resume(self) -> bool:
        """See Carrier."""
        self._how, self._head = "resumed", None
        if self._rest is None or self._how in self._refused:
            return False
        self._request, self._head, self._offset = self._rest
        self._head.reopen()
        return True

    def forget(self) -> None:
        """See Carrier."""
        self._rest = self._head = None

    def ask(self, text: str, strategy: Strategy) -> Way:
        """See Carrier."""
        assert self._call is not None
        self._head = None
        if not text.strip():  # services refuse a message of blanks, and no model goes on from them
            self._how, self._request = "again", self._first
            return Way("again", blanks=text)
        provider = self._new_provider()
        prefill = getattr(provider, "prefill", None)  # a dialect of yours may have none
        call = prefill(self._call, text) if prefill and "prefill" not in self._refused else None
        self._how = "appended" if call is None else "prefill"
        if call is None:
            self._request = self._in_words(provider, text, strategy)
            return Way(self._how)
        self._request = provider.request(call)
        echoes = getattr(provider, "repeats_prefill", False)
        return Way(self._how, blanks=_blanks(call, text), echoes=echoes)

    def _in_words(self, provider: Provider[Any], text: str, strategy: Strategy) -> Request:
        """What asks the model to go on; in one message where the service takes no more."""
        assert self._call is not None
        try:
            return provider.request(continued(self._call, text, strategy))
        except ConfigurationError:
            call = continued_in_one(self._call, text, strategy)
            # A model that was to go on with the prompt itself has no ear for questions.
            if call is None or "prefill" in self._refused:
                raise
            return provider.request(call)

    def refuse(self) -> bool:
        """See Carrier."""
        if self._how not in ("resumed", "prefill"):
            return False
        self._refused.add(self._how)
        return True


def _blanks(call: Call, text: str) -> str:
    """What the text ends with and the call does not show: some services refuse blanks there."""
    shown = call.messages[-1].get("content") if call.messages else None
    bare = text.rstrip()
    cropped = isinstance(shown, str) and shown.endswith(bare) and not shown.endswith(text)
    return text[len(bare) :] if cropped else ""


class HttpFeed:
    """
    The answer to one request, as chunks.

    Thread safety: **confined** to the reading thread.
    """

    def __init__(
        self,
        stream: ByteStream,
        head: Head,
        redactor: Redactor,
        keep: Callable[[int], None] | None = None,
    ) -> None:
        self._keep = keep
        self.status: int | None = stream.status
        self.request_id = redactor.text(request_id(stream.headers) or "") or None
        self.received = 0
        self._stream = stream
        self._head = head
        self._provider = head.provider
        self._redactor = redactor
        self._ended = False
        #: What to raise once what the provider held is given out.
        self._broken: StreamkitError | None = None

    @property
    def finish_reason(self) -> str | None:
        """See Feed."""
        return self._provider.finish_reason

    @property
    def blocked(self) -> str | None:
        """See Feed."""
        return self._provider.blocked

    @property
    def failed(self) -> StreamkitError | None:
        """See Feed."""
        failure = self._provider.failure
        return None if failure is None else self._redactor.error(failure)

    @property
    def finished(self) -> bool:
        """See Feed."""
        return self._provider.finished and self._head.error is None

    @property
    def terminal_is_complete(self) -> bool:
        """See Feed."""
        return self._provider.terminal_is_complete

    @property
    def names(self) -> tuple[str | None, str | None]:
        """See Feed."""
        model, response_id = self._provider.model, self._provider.response_id
        clean = self._redactor.text
        return model and clean(model), response_id and clean(response_id)

    def read(self) -> list[Chunk] | None:
        """See Feed."""
        error = self._head.error
        if error is not None:
            if held := self._head.left():
                return held
            raise self._redactor.error(error) if isinstance(error, StreamkitError) else error
        if self._ended:
            return None
        if (broken := self._broken) is not None:
            self._broken = None  # its traceback will hold this object
            raise broken
        try:
            data = self._stream.read()
        except StreamkitError as failure:
            self._redactor.error(failure)
            if self.failed is None:
                held = self._head.left()
                if not held:
                    raise
                self._broken = failure.with_traceback(None)
                return held
            # The service had said what is wrong, and was only given time to say more.
            raise self.failed from failure
        if data:
            self.received += len(data)
            return self._head.feed(data)
        self._ended = True
        return self._head.flush()

    def finish(self) -> None:
        """See Feed."""
        if self._ended or self._provider.finished:
            self._stream.finish()

    def close(self) -> None:
        """See Feed."""
        self._stream.close()
        keep, self._keep = self._keep, None
        if keep is not None:
            keep(self.received)
        # The frames of an error's traceback hold this object, and what the server sent may echo
        # the key: the decoder and the provider, which hold its last bytes, go.
        vars(self).pop("_head", None)
        vars(self).pop("_provider", None)


def refusal(
    stream: ByteStream, request: Request, provider: Provider[Any], limits: Limits
) -> StreamkitError:
    """The error for an answer whose status is no success; reads its body."""
    status, headers = stream.status, stream.headers
    if 300 <= status <= 399:
        there = _host(headers.get("location", ""))
        return TransportError(
            f"{request.provider} answered {status}, a redirect to {there[:200]!r}; "
            "redirects are not followed: they would carry the key along",
            status=status, stage="headers", request_id=request_id(headers),
        )  # fmt: skip
    if status < 200:
        return TransportError(f"{request.provider} answered {status}, which ends nothing")
    error: ProviderError = provider.error(
        status, headers, stream.read_error_body(limits.error_body)
    )
    asked = retry_after(headers, now=time())
    if asked is not None:  # else what the provider found in the body stays
        error.retry_after = asked
    error.stage = "headers"
    return error


def _host(location: str) -> str:
    """The host a Location header names, without anything that may be a secret."""
    try:
        return urlsplit(location).netloc.rpartition("@")[2] or "nowhere"
    except ValueError:
        return "a malformed place"
