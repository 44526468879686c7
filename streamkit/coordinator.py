"""
StreamingCoordinator: stream from any URL, with a function of yours that reads its events.

Thin over the same pipeline as ``stream()``: the same clocks, retries, callbacks and endings. Where
a provider has a dialect, there is ``parse_chunk``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from threading import RLock
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from streamkit.api import hooked
from streamkit.callback import check_callable
from streamkit.chunk import Chunk, Result
from streamkit.errors import ConfigurationError
from streamkit.pipeline.http import HttpSource
from streamkit.pipeline.keywords import build_options
from streamkit.pipeline.mapping import status_and_body
from streamkit.pipeline.names import nearest
from streamkit.pipeline.options import StreamOptions
from streamkit.pipeline.run import Run
from streamkit.pipeline.signature import StreamKeywords
from streamkit.pipeline.stream import Stream
from streamkit.providers.address import checked_base_url
from streamkit.providers.base import Endpoint
from streamkit.providers.build import checked_headers
from streamkit.providers.parsed import ParseChunk, Parsed
from streamkit.request import Call, Request, build_call
from streamkit.transport.http import HttpTransport

if TYPE_CHECKING:
    import requests
    from typing_extensions import Self

__all__ = ["StreamingCoordinator"]

#: Streams that have ended and are still known by their id; chosen, not measured.
REMEMBERED = 1000

#: Names of options as the seeds have them; StreamOptions.from_mapping reads them.
SEEDS = frozenset(
    {
        "track_metrics", "transform_chunk", "validate_chunk", "buffer_chunks", "stream_recovery",
        "recovery",
    }
)  # fmt: skip
_KNOWN = SEEDS | (
    frozenset(StreamKeywords.__annotations__)
    - frozenset(Call.__dataclass_fields__)  # those belong into the request, which is the user's
    - {"on_error"}
)


class StreamingCoordinator:
    """
    Streams by URL, known by an id.

    Thread safety: **shared**.

    Args:
        session: Your own requests session: used, never closed, never changed.
        allow_http: As for Client.
    """

    # Guarded by _lock: _streams, in the order in which they were started.

    def __init__(
        self, session: requests.Session | None = None, *, allow_http: bool = False
    ) -> None:
        if not isinstance(allow_http, bool):
            raise ConfigurationError(
                f"allow_http must be True or False, got a {type(allow_http).__name__}"
            )
        self._transport = HttpTransport(session)
        self._allow_http = allow_http
        self._streams: dict[str, Stream] = {}
        self._lock = RLock()  # a signal handler may cancel, or close, while a stream is started

    def start_stream(
        self,
        url: str,
        request: Any,
        headers: Mapping[str, str] | Iterable[tuple[str, str]],
        callback: Callable[[Chunk], Any],
        *,
        parse_chunk: ParseChunk,
        on_error: Callable[[int | None, str], Any] | None = None,
        provider: str = "custom",
        **options: Any,
    ) -> str:
        """
        Send the request and stream the answer to ``callback`` in a thread; the stream's id.

        Args:
            url: https, or http to this machine. A query is fine, a key in it is not: it belongs
                into the headers.
            request: The body: bytes, text, or what becomes JSON.
            headers: A mapping or pairs. What carries a key, by its name, is kept out of messages.
            callback: Gets each Chunk, the ``done`` chunk last.
            parse_chunk: The data of one server-sent event, or one line of JSON -> a Chunk, a text,
                several of them, or None. A Chunk with a ``finish_reason`` or ``done`` says that the
                answer is complete; so does ``[DONE]``, which is not passed on. An answer that ends
                without any of them is a TruncatedStream.
            on_error: Called once with (status, body) if the stream fails, whatever failed; where
                the service gave no answer, with None and the error's message.
            provider: What to call the service in errors and metrics.
            options: The keywords of ``stream()`` that say how (times in seconds), and the seeds'
                ``track_metrics``, ``transform_chunk``, ``validate_chunk``, ``buffer_chunks``,
                which groups what ``on_batch`` gets, not what ``callback`` gets, and
                ``stream_recovery`` and ``recovery``, for requests that hold a list of messages.

        Raises:
            ConfigurationError: Anything that cannot be sent or done, before anything is sent.
        """
        source = _checked_request(url, request, headers, provider, self._allow_http)
        stream = self._open(source, callback, parse_chunk, on_error, options)
        with self._lock:
            ended = [key for key, known in self._streams.items() if known.outcome is not None]
            for key in ended[:-REMEMBERED]:
                del self._streams[key]
            self._streams[stream.id] = stream
        stream.start()
        return stream.id

    def simple_stream(
        self,
        url: str,
        request: Any,
        headers: Mapping[str, str] | Iterable[tuple[str, str]],
        callback: Callable[[Chunk], Any],
        *,
        parse_chunk: ParseChunk,
        on_error: Callable[[int | None, str], Any] | None = None,
        provider: str = "custom",
        **options: Any,
    ) -> Result:
        """
        The same in the caller's thread, to the end; the Result.

        Raises:
            ConfigurationError: As for start_stream().
            BaseException: What ended the stream, after ``on_error`` was called.
        """
        source = _checked_request(url, request, headers, provider, self._allow_http)
        return self._open(source, callback, parse_chunk, on_error, options).result()

    def status(self, stream_id: str) -> str:
        """``running``, or the outcome."""
        return self.stream(stream_id).outcome or "running"

    def cancel(self, stream_id: str, reason: str = "") -> None:
        """Stop it now; one that has ended stays as it is."""
        self.stream(stream_id).cancel(reason)

    def wait(self, stream_id: str, timeout: float | None = None) -> Result:
        """Wait for its end; as ``Stream.wait()``."""
        return self.stream(stream_id).wait(timeout)

    def stream(self, stream_id: str) -> Stream:
        """
        The stream itself, with its metrics and partial Result.

        Raises:
            ConfigurationError: No stream has this id, or it ended over 1,000 streams ago.
        """
        with self._lock:
            stream = self._streams.get(stream_id)
        if stream is None:
            raise ConfigurationError(f"no stream is known by the id {stream_id!r}")
        return stream

    def close(self) -> None:
        """Cancel what runs, close idle connections."""
        with self._lock:
            streams = list(self._streams.values())
        for stream in streams:
            stream.close()
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(
        self,
        request: Request,
        callback: Callable[[Chunk], Any],
        parse_chunk: ParseChunk,
        on_error: Callable[[int | None, str], Any] | None,
        given: dict[str, Any],
    ) -> Stream:
        for name, call in (("parse_chunk", parse_chunk), ("on_error", on_error)):
            if not (callable(call) or (call is None and name == "on_error")):
                raise ConfigurationError(f"{name} must be callable, got {type(call).__name__}")
        check_callable(parse_chunk=parse_chunk, on_error=on_error)
        options = _read_options(given)
        endpoint = Endpoint(provider=request.provider, base_url=request.url)
        asked = None if options.recovery is None else _call(request)
        source = HttpSource(
            self._transport,
            request,
            lambda: Parsed(endpoint, parse_chunk, request),
            options.limits,
            asked,
        )
        stream = Stream(Run(source, options, provider=request.provider, model=""))
        stream.on_chunk(callback)
        if on_error is None:
            return hooked(stream, given)
        return hooked(
            stream, {**given, "on_error": lambda error: on_error(*status_and_body(error))}
        )


def _checked_request(
    url: str,
    request: Any,
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
    provider: str,
    allow_http: bool,
) -> Request:
    place, _, query = str(url).partition("?")
    checked_base_url(place, "url", allow_http=allow_http)
    if "#" in query or not all("!" <= c <= "~" for c in query):
        raise ConfigurationError("url must have a query of ASCII characters, and no fragment")
    for name, _ in parse_qsl(query, keep_blank_values=True):
        if any(part in name.lower() for part in ("key", "token", "secret")):
            raise ConfigurationError(f"url must not hold a key: send {name!r} in the headers")
    if isinstance(request, str):
        body = request.encode()
    elif isinstance(request, bytes):
        body = request
    else:
        try:
            body = json.dumps(request, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError):
            raise ConfigurationError("request must be bytes, text or what JSON can hold") from None
    try:
        pairs = dict(headers)
    except (TypeError, ValueError):
        raise ConfigurationError("headers must be a mapping or pairs of texts") from None
    return Request(
        url=str(url),
        headers=checked_headers({"Content-Type": "application/json"}, pairs),
        body=body,
        provider=provider,
        allow_http=allow_http,
    )


def _call(request: Request) -> Call:
    """What the request asks, as far as a broken answer can be carried on."""
    try:
        messages = json.loads(request.body)["messages"]
        return build_call("", messages, {})
    except (ValueError, LookupError, TypeError):
        raise ConfigurationError(
            "recovery needs a request with a list of messages, to which the answer so far is added"
        ) from None


def _read_options(given: dict[str, Any]) -> StreamOptions:
    for name in given:
        if name not in _KNOWN:
            raise ConfigurationError(
                f"start_stream() has no option {name!r}{nearest(name, _KNOWN)}; "
                "what the service should read goes into request"
            )
    seeds = {name: given[name] for name in given if name in SEEDS}
    if not seeds:
        return build_options(given)
    if given.get("options") is not None:
        raise ConfigurationError(f"options= already says all: it cannot go with {min(seeds)}=")
    rest = {name: value for name, value in given.items() if name not in SEEDS}
    return build_options({**rest, "options": StreamOptions.from_mapping(seeds)})
