"""
A stream written to a file as it comes, and a stream that such a file plays: ``record=``, replay().

What was recorded is what the transport gave, so the whole path from there on is the real one: the
provider's mapping, the stages, the ring. When the next attempt begins, and whether there is one, is
the recording's word as well: the delays of a retry policy are random.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from typing import Any

from typing_extensions import override

from streamkit.errors import ConfigurationError, ProtocolError, StreamkitError
from streamkit.pipeline.foreign import ForeignRun
from streamkit.pipeline.http import HttpSource
from streamkit.pipeline.options import StreamOptions
from streamkit.pipeline.redact import Redactor
from streamkit.pipeline.stream import Stream
from streamkit.providers.compatible import GUESSED
from streamkit.providers.registry import Target, resolve
from streamkit.recovery.retry import RetryConfig, RetryPolicy
from streamkit.request import Request
from streamkit.transport.base import Transport
from streamkit.transport.record import RecordingTransport
from streamkit.transport.replay import ReplayTransport
from streamkit.transport.tape import FORMAT, TapeReader, TapeWriter
from streamkit.version import __version__

__all__ = ["recorded", "replayed"]

#: Some services must be given a key; it is dropped at once, for nothing is ever sent.
_NO_KEY = "none-needed"


def recorded(
    transport: Transport, path: str | PathLike[str], target: Target, api: str | None
) -> Transport:
    """
    The transport, recorded to a file for one stream.

    Raises:
        ConfigurationError: No path; a file is there already, or the folder is not.
    """
    place = _checked(path, "record")
    if os.path.lexists(place):
        raise ConfigurationError(f"record must name a new file, {place!r} exists")
    if not os.path.isdir(os.path.dirname(place)):
        raise ConfigurationError(f"record must name a file in a folder that exists, got {place!r}")
    service, endpoint = target.service, target.endpoint
    facts = {
        "format": FORMAT,
        "streamkit": __version__,
        "provider": service.name,
        "api": service.default_api if api is None else api,
        "model": target.model,
        "base_url": str(endpoint.base_url),
    }
    return RecordingTransport(transport, TapeWriter(place), facts, Redactor)


def replayed(path: str | PathLike[str], options: StreamOptions, speed: float | None) -> Stream:
    """
    The stream that a recording plays.

    Raises:
        ConfigurationError: No such file, no recording, a provider that is not known here, a speed
            that is no number of at least 0.
    """
    tape = TapeReader(_checked(path, "path"))
    transport = ReplayTransport(tape, speed)
    target = _target(tape.facts)
    endpoint = replace(target.endpoint, api_key=None, headers={})
    source = ReplaySource(
        transport,
        Request(url=endpoint.base_url, headers={}, provider=endpoint.provider),
        lambda: target.dialect(endpoint),
        options.limits,
    )
    return Stream(
        ReplayRun(
            transport,
            source,
            options,
            provider=endpoint.provider,
            model=target.model,
            stages=target.service.stages,
            cached_apart=getattr(target.dialect, "cached_apart", False),
        )
    )


class ReplaySource(HttpSource):
    """
    The attempts of a recording.

    Thread safety: **confined** to the reading thread; abort() from anywhere.
    """

    def abort(self) -> None:
        """Wake a wait for the next bytes."""
        assert isinstance(self._transport, ReplayTransport)
        self._transport.abort()


class ReplayRun(ForeignRun):
    """
    The engine of a stream that is played.

    Thread safety: **shared**, as Run.
    """

    def __init__(
        self, transport: ReplayTransport, source: ReplaySource, options: StreamOptions, **known: Any
    ) -> None:
        super().__init__(source, options, **known)
        self._retries = RecordedRetries(transport)

    @override
    def _retry_policy(self) -> RetryPolicy:
        return self._retries


class RecordedRetries(RetryPolicy):
    """
    Try again where the recording has a further attempt, after as long as it did.

    Thread safety: **confined** to the reading thread.
    """

    def __init__(self, transport: ReplayTransport) -> None:
        super().__init__(RetryConfig())
        self._transport = transport

    @override
    def delay(self, error: StreamkitError, *, failures: int, total_left: float) -> float | None:
        """See RetryPolicy."""
        try:
            pause = self._transport.pause()
        except (ConfigurationError, ProtocolError):
            # Torn behind an attempt that failed: the next one says so, and is the last.
            return None if isinstance(error, (ConfigurationError, ProtocolError)) else 0.0
        return pause if pause is not None and pause < total_left else None


def _checked(path: object, name: str) -> str:
    try:
        place = os.fspath(path)  # type: ignore[call-overload]
    except TypeError:
        place = None
    if not isinstance(place, str) or not place or "\0" in place:
        raise ConfigurationError(f"{name} must be the path of a file, got {path!r}")
    try:
        return os.path.abspath(place)
    except OSError as error:  # the current folder was removed, as by the next release of a server
        raise ConfigurationError(
            f"{name} must name a file in a folder that exists, got {path!r}"
        ) from error


def _target(facts: Mapping[str, Any]) -> Target:
    names = {name: facts.get(name) for name in ("provider", "api", "model", "base_url")}
    for name, value in names.items():
        if not isinstance(value, str):
            raise ConfigurationError(f"the recording names no {name}")
    # Without a provider it is guessed from the URL once more.
    provider = None if names["provider"] == GUESSED.name else names["provider"]
    return resolve(
        str(names["model"]), provider=provider, api=names["api"], base_url=names["base_url"],
        api_key=_NO_KEY, env={}, allow_http=True,
    )  # fmt: skip  # plain http too: nothing is sent
