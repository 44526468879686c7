"""
What a provider is: pure mapping from a Call to a Request, and from wire events to chunks.

One instance reads one attempt, so a dialect keeps its state (open tool calls, ids, the finish
reason) in plain attributes. Nothing here does I/O, reads a clock or starts a thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar

from streamkit.chunk import Chunk
from streamkit.errors import ProviderError
from streamkit.request import Call, Request, Secret

__all__ = ["Decoder", "Endpoint", "Provider", "Resume"]

E = TypeVar("E")


class Decoder(Protocol[E]):
    """
    Bytes in any split -> events; the split never changes the events.

    ``reads_json`` says whether its format begins as JSON does, with ``{`` or ``[``. To all others a
    body that begins so is not fed: it is a whole answer, or an error, in place of a stream.
    """

    reads_json: bool

    @property
    def replaced(self) -> int | None:
        """Pieces of no UTF-8 that became U+FFFD so far; None where the format is binary."""
        ...

    def feed(self, data: bytes) -> list[E]:
        """Take bytes, give the events that are complete now."""
        ...

    def flush(self) -> list[E]:
        """End of input: what the format still allows to count."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """
    Where a dialect's requests go, and with which key.

    Thread safety: **immutable**.

    Args:
        provider: The name users type and errors show.
        base_url: Without a trailing slash.
        api_key: None where the service needs none.
        headers: Sent with each request, above the dialect's own.
        allow_http: The user allows plain http beyond this machine.
        params: What a request's address or form needs beside that: an API version, a region, a
            project. Each dialect says which it reads.
        prefill: See Service.
    """

    provider: str
    base_url: str
    api_key: Secret | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    allow_http: bool = False
    params: Mapping[str, str] = field(default_factory=dict)
    prefill: str | None = None


@dataclass(frozen=True, slots=True)
class Resume:
    """
    What asks a service for the rest of an answer whose body broke off.

    Thread safety: **immutable**.

    Args:
        request: Sent like that of any attempt.
        by: "offset": the body goes on at the byte it was asked for, so the decoder that read the
            part before reads on. "event": whole events follow, for a new decoder. Either way the
            same provider instance reads them.
    """

    request: Request
    by: Literal["offset", "event"]


class Provider(Protocol, Generic[E]):
    """
    One dialect reading one attempt.

    ``finish_reason`` is the last non-null raw value seen; ``finished`` is True once the terminal
    event came, after which nothing more is fed; ``model`` and ``response_id`` are the first
    non-empty ones. ``terminal_is_complete`` says what that event is worth without a finish reason:
    whether it makes an answer complete by itself, or only one that has content. ``blocked`` is why
    the service refused the prompt under status 200, which ends an answer without a finish reason.
    ``failure`` is an error that waits: for the chunks of its event, set with ``finished``; or for
    what the next event says of it, and then it counts at the end of the body as well.
    ``repeats_prefill`` says whether the answer to a call that prefill() made may begin with the
    words it was given, or all over.
    """

    endpoint: Endpoint
    finish_reason: str | None
    finished: bool
    model: str | None
    response_id: str | None
    terminal_is_complete: bool
    blocked: str | None
    failure: ProviderError | None
    repeats_prefill: bool

    def request(self, call: Call) -> Request:
        """
        The HTTP request for a call.

        Raises:
            ConfigurationError: The dialect cannot express the call.
        """
        ...

    def prefill(self, call: Call, text: str) -> Call | None:
        """
        The call that makes the model go on with ``text``, its own words so far, which becomes the
        last message.

        None where the service cannot, or is not known to: then it is asked in words. It may still
        refuse with a status of 400, for the sake of the model or of an option. Blanks at the end
        may be left out; the answer may then begin with them.
        """
        ...

    def resume(self, request: Request, received: int) -> Resume | None:
        """
        What asks the service for the rest of the answer this instance has read.

        None where the service cannot, or has not said enough yet.

        Args:
            request: The one that was answered, as request() made it.
            received: Bytes of the answer that were fed to the decoder, without content encoding;
                of several bodies, if it was resumed before.
        """
        ...

    def models_request(self) -> Request | None:
        """The request for the list of models; None where the service has no list."""
        ...

    def model_names(self, body: bytes) -> list[str]:
        """
        The body of that list -> the names of the models, in its order.

        Raises:
            ProtocolError: It is no such list.
        """
        ...

    def decoder(self, *, max_event: int) -> Decoder[E]:
        """A new decoder for this dialect's framing."""
        ...

    def feed(self, event: E) -> list[Chunk]:
        """
        One wire event -> chunks, in order.

        Raises:
            ProviderError: The event is an error; chunks of earlier events stay valid.
            ProtocolError: The event is not what the format allows.
        """
        ...

    def flush(self) -> list[Chunk]:
        """End of the body -> what was still held."""
        ...

    def whole(self, body: bytes) -> list[Chunk] | None:
        """
        A complete JSON answer where a stream was due -> its chunks; None if it is not one.

        Sets finish_reason, model and response_id like feed().

        Raises:
            ProviderError: The body is an error object.
            LimitExceeded: It holds more values or calls than an answer may.
        """
        ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """An HTTP error response -> the exception for it; never raises, whatever the body is."""
        ...
