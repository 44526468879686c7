"""
What people type: ``stream()``, ``Client``, ``wrap()``, ``channel()``, ``merge()``, ``follow()``,
``replay()``.

What ``stream()`` has no use for is imported where it is used: its first call is what a program's
start waits for.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, overload

from streamkit.errors import ConfigurationError
from streamkit.pipeline.hooks import HOOKS
from streamkit.pipeline.http import HttpSource
from streamkit.pipeline.keywords import build_options
from streamkit.pipeline.names import nearest
from streamkit.pipeline.options import StreamOptions
from streamkit.pipeline.run import Run
from streamkit.pipeline.signature import (
    AllKeywords,
    ClientKeywords,
    PlaceKeywords,
    RequestKeywords,
    ShapeKeywords,
)
from streamkit.pipeline.stream import Stream
from streamkit.process import on_fork
from streamkit.providers.registry import Target, resolve
from streamkit.recovery import RecoveryConfig
from streamkit.request import Call, build_call, conceal
from streamkit.transport.http import HttpTransport

if TYPE_CHECKING:
    import requests
    from typing_extensions import Self, Unpack

    from streamkit.pipeline.channel import Channel, Produce
    from streamkit.pipeline.merge import Merge, OnError
    from streamkit.pipeline.probe import Health, Probe
    from streamkit.pipeline.saved import Saved
    from streamkit.pipeline.shapes import Teller
    from streamkit.store import StreamStore
    from streamkit.transport.base import Transport

__all__ = ["Client", "channel", "close", "follow", "merge", "replay", "stream", "wrap"]

Prompt = str | Sequence[Mapping[str, Any]]


_PLACE = frozenset(PlaceKeywords.__annotations__)
_CLIENT = frozenset(ClientKeywords.__annotations__)
_REQUEST = frozenset(RequestKeywords.__annotations__)
_SHAPE = frozenset(ShapeKeywords.__annotations__)
_KNOWN = frozenset(AllKeywords.__annotations__)


class Client:
    """
    Connections and settings for many streams.

    >>> with Client(provider="ollama") as client:
    ...     print(client.stream("llama3", "Hi"))  # doctest: +ELLIPSIS
    <Stream ... ollama/llama3 not started>

    Thread safety: **shared**.

    Args:
        provider: Provider name; the model is then taken verbatim.
        api: A provider's other dialect.
        api_key: Instead of the environment's.
        base_url: Instead of the environment's or the provider's own.
        session: Your own requests session: used, never closed, never changed.
        headers: Sent with every request; ``headers=`` of one stream replaces them,
            ``extra_headers=`` adds to them.
        allow_http: True lets requests go over plain http to other machines than this one, and
            through a proxy, where the network can read key and prompt.

    Raises:
        ConfigurationError: An unknown keyword, or a value that cannot be right.
    """

    def __init__(self, **keywords: Unpack[ClientKeywords]) -> None:
        conceal(keywords)
        _check_names(keywords, _CLIENT, "Client()")
        self._settings = {k: v for k, v in keywords.items() if v is not None and k != "session"}
        self._transport = HttpTransport(keywords.get("session"))
        self._closed = False

    def stream(self, model: str, prompt: Prompt, **keywords: Unpack[AllKeywords]) -> Stream:
        """
        One answer; see ``stream()``. Keywords given here win over the client's.

        Raises:
            ConfigurationError: Anything that cannot be sent or done, before anything is sent.
        """
        conceal(keywords)
        _check_names(keywords, _KNOWN, "stream()")
        transport = self._through(keywords.get("session"))
        return _open(transport, {**self._settings, **keywords}, model, prompt)

    def health(
        self,
        provider: str | None = None,
        *,
        timeout: float | None = 10.0,
        **keywords: Unpack[PlaceKeywords],
    ) -> Health:
        """
        Whether a provider can be used now: true, or false with a reason.

        It is asked for its list of models, which costs nothing. That tells of a missing or wrong
        key, an unreachable or wrong address, and a service in trouble; but some lists are open to
        all (OpenRouter, Ollama), and there a wrong key does not show. Services without a list get
        a GET of their address, without the key: then any answer under 500 is good.

        Blocks until the answer is there or ``timeout`` is over; starts no thread, tries once.

        Args:
            provider: Its name; ``provider/model`` is fine too. None is the client's own.
            timeout: Seconds for all of it, but that a name lookup cannot be interrupted; None waits
                for ever.
            keywords: ``api, api_key, base_url, session, headers, allow_http``, in place of the
                client's, which are not used at all for another provider than the client's.

        Raises:
            ConfigurationError: An unknown provider or keyword, or a value that cannot be right.
        """
        from streamkit.pipeline.probe import Health

        conceal(keywords)
        try:
            return self._probe("health()", provider, timeout, keywords).health()
        except ConfigurationError as error:
            if not error.missing:
                raise
            return Health(False, str(error))

    def models(
        self,
        provider: str | None = None,
        *,
        timeout: float | None = 30.0,
        **keywords: Unpack[PlaceKeywords],
    ) -> list[str]:
        """
        The names of the models a provider offers, as ``stream()`` takes them after the slash.

        In the provider's order, all pages of the list. Blocks, and takes its arguments, as
        ``health()`` does.

        Raises:
            ConfigurationError: As for ``health()``; no key; or the service has no such list.
            ProviderError, TransportError, ProtocolError: As for streams.
        """
        conceal(keywords)
        return self._probe("models()", provider, timeout, keywords).models()

    def _probe(
        self, where: str, provider: str | None, timeout: float | None, given: PlaceKeywords
    ) -> Probe:
        from streamkit.pipeline.probe import Probe

        _check_names(given, _PLACE, where)
        transport = self._through(given.get("session"))
        settings = self._settings
        if provider is not None:
            provider = str(provider).partition("/")[0]
            if settings.get("provider", provider) != provider:
                settings = {}  # a key goes to nobody but the service it was given for
            settings = {**settings, "provider": provider}
        settings = {**settings, **given}
        if settings.get("provider") is None and settings.get("base_url") is None:
            raise ConfigurationError(f"{where} must be told which provider, or a base_url")
        target = _resolve(settings, "any")
        return Probe(transport, target.dialect(target.endpoint), timeout)

    def _through(self, session: requests.Session | None) -> HttpTransport:
        """What a request goes through."""
        if self._closed:
            raise ConfigurationError("the client is closed; make a new one")
        return self._transport if session is None else HttpTransport(session)

    def close(self) -> None:
        """Close idle connections. Streams that exist go on; new ones raise ConfigurationError."""
        self._closed = True
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self._settings.get('provider') or 'for any provider'}>"

    def __reduce__(self) -> Any:
        raise TypeError(
            "a client holds connections and cannot be pickled; make one on the other side"
        )


def stream(model: str, prompt: Prompt, **keywords: Unpack[AllKeywords]) -> Stream:
    """
    Stream one answer.

    Nothing is sent before the first use. Connections are pooled for the whole process.

    Thread safety: **shared**.

    Args:
        model: ``provider/model``; with ``provider=`` the model alone.
        prompt: Text, or a list of messages (mappings with ``role`` and ``content``).
        keywords: ``provider, api, api_key, base_url, session, headers, allow_http`` (where),
            ``system, temperature, top_p, max_tokens, stop, seed, tools, tool_choice,
            response_format, extra_body, extra_headers`` (what),
            ``mode, options, buffer, overflow, batch, flow, metrics, timeout, retry, recovery,
            think, units, strip, max_wait, rate, transform, validate, stop_when, price, tokenizer,
            on_*`` (how; see StreamOptions), ``record`` (a new file that takes down what the
            service sends, as it comes, for ``replay()``; no key, no prompt).

    Raises:
        ConfigurationError: Anything that cannot be sent or done, before anything is sent.
        UnknownProvider: No such provider.
    """
    conceal(keywords)
    return _default_client().stream(model, prompt, **keywords)


def wrap(
    iterable: Iterable[Any],
    *,
    cancel: Callable[[], Any] | None = None,
    text: Teller | None = None,
    **keywords: Unpack[ShapeKeywords],
) -> Stream:
    """
    A Stream over somebody else's iterable: an SDK's stream, texts, chunks, another Stream.

    >>> for piece in wrap(["Hello", " there"]):
    ...     print(piece)
    Hello
     there

    Known without ``text=``: the streams of openai, anthropic, ollama, cohere, google-genai, boto3's
    ``converse_stream``, mistralai, langchain, haystack, huggingface_hub and transformers. The end
    of the iterable is the end of the answer; what it raises ends the stream, as the same object.

    A blocked read of theirs cannot be interrupted: cancel() frees the caller at once, except in
    ``direct`` mode, and the read ends with the next item, or through ``cancel=``. Of
    the clocks only ``total`` holds, and it is looked at between items. So are ``max_wait`` and
    StopConfig.max_seconds, in every mode: who is in that read is the one who has the held text.

    Thread safety: **shared**. The iterable is read, and closed, by one thread.

    Args:
        iterable: Read once, from the first use on.
        cancel: Called when the stream is stopped before its end, from the thread that stops it.
        text: An item -> its text, a Chunk, or None where there is nothing to show.
        keywords: Those of ``stream()`` that say how: ``mode``, ``buffer``, ``timeout``, ``units``,
            ``on_*`` and the others; not ``retry`` and ``on_retry``.

    Raises:
        ConfigurationError: A keyword or value that cannot be right; an item of an unknown kind.
    """
    from streamkit.pipeline.foreign import wrapped

    options = _shape(keywords, "wrap()")
    return hooked(wrapped(iterable, options, cancel=cancel, text=text), keywords)


@overload
def channel(produce: Produce, **keywords: Unpack[ShapeKeywords]) -> Stream: ...
@overload
def channel(produce: None = None, **keywords: Unpack[ShapeKeywords]) -> tuple[Channel, Stream]: ...
def channel(
    produce: Produce | None = None, **keywords: Unpack[ShapeKeywords]
) -> Stream | tuple[Channel, Stream]:
    """
    A Stream of what is put into a Channel: callbacks become an iterator.

    >>> def produce(ch):
    ...     ch.put("Hello")
    ...     ch.put(" there")
    >>> list(channel(produce))
    ['Hello', ' there']

    ``produce(channel)`` runs in a thread of its own from the first use of the stream on. Its return
    ends the answer, what it raises ends the stream; once the stream was stopped, ``put`` raises.

    Without a function: ``feed, stream = channel()``, for code that has a thread of its own.

    Thread safety: **shared**.

    Args:
        produce: A function of a Channel.
        keywords: As for ``wrap()``.

    Raises:
        ConfigurationError: A keyword or value that cannot be right.
    """
    from streamkit.pipeline.channel import new_channel, run_channel

    options = _shape(keywords, "channel()")
    if produce is not None:
        return hooked(run_channel(produce, options), keywords)
    feed, handle = new_channel(options)
    return feed, hooked(handle, keywords)


def follow(
    store: str | StreamStore,
    id: str,
    after: int | str | None = 0,
    **keywords: Unpack[ShapeKeywords],
) -> Stream:
    """
    A stream that another thread or process publishes: all of it so far, then live to its end.

    >>> _ = wrap(["Hello", " there"]).publish("memory://", "greeting").wait()
    >>> list(follow("memory://", "greeting", after=1))
    [' there']

    Each chunk has its number in ``metadata["seq"]``, and the events of ``sse()`` as their ``id:``,
    so that ``after=request.headers.get("Last-Event-ID")`` goes on where a browser left. Not so with
    ``units``, ``think`` or ``stop_when``, which show parts of entries: give these to the publisher.

    The end is the publisher's: its outcome, usage and cost, or an error of the class it raised. A
    ``retry`` chunk tells that another writer took over: of the text shown the first ``seam.at``
    characters stay. Stopping a follower stops no one else. Of the clocks only ``total`` holds.

    Thread safety: **shared**. Any number of followers, in any process that reaches the store.

    Args:
        store: A URL, or a store.
        id: What it was published as.
        after: The seq of the last chunk already seen, or the text of a Last-Event-ID header.
        keywords: As for ``wrap()``.

    Raises:
        ConfigurationError: A keyword or value that cannot be right.

    While it is read:
        UnknownStream, Expired: There is no such stream, or no more.
        Gap: Entries behind ``after`` are no longer kept.
        ProducerLost: The publisher went without a word; ``partial`` has all it wrote.
    """
    from streamkit.pipeline.follow import followed

    return hooked(followed(store, id, after, _shape(keywords, "follow()")), keywords)


def merge(*, on_error: OnError = "continue", **streams: Stream | Iterable[Any]) -> Merge:
    """
    Several streams as one iterable of (name, chunk), in the order of arrival.

    >>> for name, chunk in merge(a=wrap(["Hi"])):
    ...     print(name, chunk.kind, repr(chunk.content))
    a text 'Hi'
    a done ''

    See Merge for how each stream's end is told. Breaking out of the loop stops all of them.

    Thread safety: **shared**.

    Args:
        on_error: ``continue`` (the others go on, the first error is raised after all), ``stop``
            (cancel the others, raise it at once) or ``yield`` (never raise).
        streams: Unused streams by name; any other iterable goes through ``wrap()``.

    Raises:
        ConfigurationError: No stream, one twice, or another value that cannot be right.
    """
    from streamkit.pipeline.foreign import check_iterable
    from streamkit.pipeline.merge import Merge

    for name, value in streams.items():
        check_iterable(value, f"merge({name}=)")
    made = {name: s if isinstance(s, Stream) else wrap(s) for name, s in streams.items()}
    return Merge(made, on_error)


def replay(
    path: str | PathLike[str], *, speed: float | None = 1.0, **keywords: Unpack[ShapeKeywords]
) -> Stream:
    """
    A Stream of an answer that ``record=`` took down: the same bytes in the same pieces, when they
    came, with the same faults and retries. Nothing is sent, and no key is needed.

    >>> for text in replay("answer.jsonl", speed=4):  # doctest: +SKIP
    ...     print(text, end="", flush=True)

    An answer that was stopped while it was recorded (by cancel(), ``stop_when``, the end of a loop)
    ends here with StreamInterrupted, unless it is stopped again. Where the file is torn or was
    changed there is a ProtocolError; what comes before it is as it was.

    Of the clocks only ``total`` holds: which of the others ran out is in the recording.

    Thread safety: **shared**.

    Args:
        path: The file; it stays as it is, and may be played by many at once.
        speed: How many times faster than it was; None or 0 never waits.
        keywords: As for ``wrap()``.

    Raises:
        ConfigurationError: A file that is no recording, a provider that this process does not know,
            a keyword or value that cannot be right.
    """
    from streamkit.pipeline.recording import replayed

    options = _shape(keywords, "replay()")
    return hooked(replayed(path, options, speed), keywords)


def close() -> None:
    """Close the process-wide client's idle connections; later streams make new ones."""
    client = _default
    if client is not None:
        client._transport.close()


_default: Client | None = None
_lock = threading.Lock()  # guards _default


def _default_client() -> Client:
    global _default
    with _lock:
        if _default is None:
            _default = Client()
        return _default


def _forget_parent() -> None:
    # In a forked child: the lock may be held by a thread that does not exist here, and the
    # connections are the parent's.
    global _default, _lock
    _lock = threading.Lock()
    _default = None


on_fork(_forget_parent)
atexit.register(close)


def _check_names(given: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    for name in given:
        if name not in known:
            close = nearest(name, known)
            if "extra_body" in known:
                close += "; fields of the provider's own request go into extra_body={...}"
            elif name in _REQUEST and where == "resume()":
                close = ": the request is the one in the store"
            raise ConfigurationError(f"{where} has no keyword {name!r}{close}")


def _resolve(given: Mapping[str, Any], model: str) -> Target:
    where = {k: given.get(k) for k in _CLIENT - {"session"}}
    return resolve(model, **where)  # type: ignore[arg-type]


def _open(transport: HttpTransport, given: Mapping[str, Any], model: str, prompt: Prompt) -> Stream:
    target = _resolve(given, model)
    options = build_options(given)
    through = _recording(transport, given, target)
    call = build_call(target.model, prompt, {k: given.get(k) for k in _REQUEST})
    api = given.get("api")  # all that was given would keep the callbacks alive
    return hooked(Stream(_run(through, target, options, call, api)), given)


def _recording(transport: Transport, given: Mapping[str, Any], target: Target) -> Transport:
    """The transport, which writes down what it brings if ``record`` says where."""
    if given.get("record") is None:
        return transport
    from streamkit.pipeline.recording import recorded

    return recorded(transport, given["record"], target, given.get("api"))


def _run(
    transport: Transport, target: Target, options: StreamOptions, call: Call, api: str | None
) -> Run:
    request = target.dialect(target.endpoint).request(call)
    run = Run(
        HttpSource(
            transport, request, lambda: target.dialect(target.endpoint), options.limits, call
        ),
        options,
        provider=target.endpoint.provider,
        model=target.model,
        stages=target.service.stages,
        call=call,
        cached_apart=getattr(target.dialect, "cached_apart", False),
    )
    run.describe = lambda: _describe(target, api, call, options.recovery)
    return run


def _resume(saved: Saved, store: StreamStore, given: Mapping[str, Any]) -> Stream:
    """The Stream that carries on what a store holds; see StreamRecovery.resume()."""
    conceal(given)
    _check_names(given, _KNOWN - _REQUEST | {"extra_headers"}, "resume()")
    place = saved.place
    given = {"provider": place.provider, "api": place.api, **given}
    target = _resolve(given, place.model)
    if given.get("base_url") is None and target.endpoint.base_url != place.base_url:
        raise ConfigurationError(
            f"the answer came from {place.base_url}, and a store does not choose where a key is "
            "sent: give base_url"
        )
    given.setdefault("recovery", {"strategy": saved.strategy})
    options = build_options(given)
    recovery = replace(options.recovery or RecoveryConfig(), store=store, id=saved.id)
    call = replace(saved.call, extra_headers=given.get("extra_headers"))
    client = _default_client()
    transport = _recording(client._through(given.get("session")), given, target)
    run = _run(transport, target, replace(options, recovery=recovery), call, given.get("api"))
    run.resumes = saved.info.last
    run.tail.preload(saved.result)
    return hooked(Stream(run), given)


def _describe(
    target: Target, api: str | None, call: Call, recovery: RecoveryConfig | None
) -> dict[str, Any]:
    """What a store keeps of the request, so that another process can carry the answer on."""
    from streamkit.pipeline.saved import Place, describe

    where = target.endpoint
    place = Place(provider=where.provider, api=api, base_url=where.base_url, model=target.model)
    return describe(place, call, (recovery or RecoveryConfig()).strategy)


def hooked(handle: Stream, given: Mapping[str, Any]) -> Stream:
    """The same handle, with the callbacks among the keywords, or else those of its options."""
    options = handle._run.options
    usual = {"on_metrics": options.on_metrics, "on_error": options.on_error}
    for name in HOOKS:
        call = given.get(name)
        if call is None:
            call = usual.get(name)
        if call is not None:
            handle.hook(name, call)
    return handle


def _shape(given: Mapping[str, Any], where: str) -> StreamOptions:
    """The options of a stream that no request of ours opens, and that cannot be asked for again."""
    for name in given:
        if name not in _SHAPE:
            close = nearest(name, _SHAPE)
            raise ConfigurationError(f"{where} has no keyword {name!r}{close}")
    return replace(build_options(given), retry=None, recovery=None)
