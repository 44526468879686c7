"""
What goes in: messages, the call a user makes, and the HTTP request a provider makes of it.

Secrets travel as ``Secret``, a str that never shows itself: a header dictionary holding one prints
``'[redacted]'`` in a repr, a log line or a traceback with locals, yet goes over the wire unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from typing_extensions import override

from streamkit.errors import ConfigurationError

__all__ = ["Call", "Message", "Request", "Secret", "signed"]

#: What stands where a secret stood.
MASK = "[redacted]"


class Secret(str):
    """
    A str whose repr is ``'[redacted]'`` and which refuses to be pickled.

    >>> {"Authorization": Secret("Bearer abc")}
    {'Authorization': '[redacted]'}

    Thread safety: **immutable**.
    """

    __slots__ = ()

    @override
    def __repr__(self) -> str:
        return "'[redacted]'"

    @override
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("a secret is never pickled; read it from the environment on the other side")


class Message(dict[str, Any]):
    """
    One message of a conversation: a plain dict with ``role`` and ``content``, and named makers.

    >>> Message.user("Hi")
    {'role': 'user', 'content': 'Hi'}

    Thread safety: **confined**.
    """

    @classmethod
    def system(cls, content: str) -> Message:
        """Instructions that stand above the conversation."""
        return cls(role="system", content=content)

    @classmethod
    def user(cls, content: str | Sequence[Mapping[str, Any]]) -> Message:
        """What the user says: text, or a list of parts (text and images)."""
        return cls(role="user", content=content)

    @classmethod
    def assistant(
        cls, content: str = "", *, tool_calls: Sequence[Mapping[str, Any]] | None = None
    ) -> Message:
        """What the model said before; ``tool_calls`` in OpenAI's form."""
        message = cls(role="assistant", content=content)
        if tool_calls:
            message["tool_calls"] = list(tool_calls)
        return message

    @classmethod
    def tool(cls, content: str, *, tool_call_id: str) -> Message:
        """The result of the tool call with that id."""
        return cls(role="tool", content=content, tool_call_id=tool_call_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    What the user asks for, in no provider's terms. Checked when made; each dialect maps it.

    Thread safety: **immutable**.
    """

    model: str
    messages: tuple[Mapping[str, Any], ...] = field(repr=False)
    system: str | None = field(default=None, repr=False)
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    tools: tuple[Mapping[str, Any], ...] | None = field(default=None, repr=False)
    tool_choice: str | Mapping[str, Any] | None = None
    response_format: Mapping[str, Any] | None = field(default=None, repr=False)
    extra_body: Mapping[str, Any] | None = field(default=None, repr=False)
    extra_headers: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    One HTTP request, ready to be sent, as often as needed: retries send the same bytes.

    Thread safety: **immutable**.

    Args:
        url: Absolute; never holds a key.
        headers: Values that carry a key are ``Secret``.
        body: The bytes of the JSON body.
        provider: The name shown in errors and metrics.
        allow_http: Whether it may go in the clear through a proxy.
        sign: Makes headers that are only good for a while, such as a signature with a date, from
            the request; called before each send. They stand above ``headers``.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False, default=b"")
    method: str = "POST"
    provider: str = ""
    allow_http: bool = False
    sign: Callable[[Request], Mapping[str, str]] | None = field(repr=False, default=None)


def signed(request: Request) -> Request:
    """The request as it is to be sent now."""
    if request.sign is None:
        return request
    return replace(request, headers={**request.headers, **request.sign(request)})


def conceal(keywords: Any) -> None:
    """
    Wrap whatever may be a key in these keyword arguments, in place, before anything can raise.

    The dictionary is a local variable of the frames an error passes through, and a traceback with
    locals would print it. A base URL may hold a password.

    Raises:
        ConfigurationError: A key that is not text; its name and type are told, never its value.
    """
    for name in keywords:
        if name in ("headers", "extra_headers"):
            if isinstance(keywords[name], Mapping):
                keywords[name] = {
                    k: Secret(v) if isinstance(v, str) else v for k, v in keywords[name].items()
                }
        elif name == "base_url" or any(part in name for part in ("key", "token", "secret")):
            if isinstance(keywords[name], str):
                keywords[name] = Secret(keywords[name])
            elif name in ("api_key", "base_url") and keywords[name] is not None:
                kind = type(keywords[name]).__name__
                keywords[name] = None
                raise ConfigurationError(f"{name} must be text, got {kind}")


def build_call(model: str, prompt: Any, given: Mapping[str, Any]) -> Call:
    """
    Check what a user asks for.

    Args:
        model: The provider's name of the model.
        prompt: Text, or a sequence of messages.
        given: The other fields of Call; None means not given.

    Raises:
        ConfigurationError: A value no provider could take.
    """
    values = {name: value for name, value in given.items() if value is not None}
    for name in ("temperature", "top_p"):
        _check(name, values, (int, float), "a number")
    for name in ("max_tokens", "seed"):
        _check(name, values, int, "a whole number")
    if values.get("max_tokens", 1) < 1:
        raise ConfigurationError(f"max_tokens must be at least 1, got {values['max_tokens']!r}")
    _check("system", values, str, "text")
    for name in ("response_format", "extra_body", "extra_headers"):
        _check(name, values, Mapping, "a mapping")
    _check("tool_choice", values, (str, Mapping), "text or a mapping")
    if "stop" in values:
        stop = values["stop"]
        values["stop"] = (stop,) if isinstance(stop, str) else _sequence("stop", stop, str, "text")
    if "tools" in values:
        values["tools"] = _sequence("tools", values["tools"], Mapping, "mappings")
    return Call(model=model, messages=_messages(prompt), **values)


def _messages(prompt: Any) -> tuple[Mapping[str, Any], ...]:
    if isinstance(prompt, str):
        if not prompt:
            raise ConfigurationError("prompt must not be empty")
        return (Message.user(prompt),)
    if isinstance(prompt, Mapping) or not isinstance(prompt, Sequence) or isinstance(prompt, bytes):
        raise ConfigurationError(
            f"prompt must be text or a list of messages, got {type(prompt).__name__}"
        )
    if not prompt:
        raise ConfigurationError("prompt must hold at least one message")
    for number, message in enumerate(prompt):
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise ConfigurationError(f"message {number} must be a mapping with a 'role'")
    return tuple(prompt)


def _check(name: str, values: Mapping[str, Any], kind: Any, what: str) -> None:
    value = values.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, kind)):
        raise ConfigurationError(f"{name} must be {what}, got {type(value).__name__}")


def _sequence(name: str, value: Any, kind: Any, what: str) -> tuple[Any, ...]:
    if (
        isinstance(value, (str, bytes, Mapping))
        or not isinstance(value, Sequence)
        or not all(isinstance(item, kind) for item in value)
    ):
        raise ConfigurationError(f"{name} must be a list of {what}")
    return tuple(value)


#: Headers that say where a message ends or what becomes of its connection: the transport's own.
_FRAMING = {
    "connection", "content-length", "expect", "keep-alive", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
}  # fmt: skip


def check_header(name: str, value: str) -> None:
    """
    Refuse a header that could smuggle a second one or a second request, before anything is sent.

    The value is never quoted in the message: it may be a key.

    Raises:
        ConfigurationError: A name that check_header_name() refuses; a value that is empty, padded
            with blanks, holds a control character, or cannot be Latin-1 (RFC 9110 section 5.5).
    """
    check_header_name(name)
    if not isinstance(value, str) or not value or value != value.strip():
        raise ConfigurationError(f"the value of {name} must be text without blanks at its ends")
    if any(ord(c) < 32 or ord(c) == 127 or ord(c) > 255 for c in value):
        raise ConfigurationError(f"the value of {name} holds a character no header may carry")


def check_header_name(name: str) -> None:
    """
    Refuse what cannot be the name of a header; it is not quoted: it may be a key out of place.

    Raises:
        ConfigurationError: It is no token, or the name of a framing header.
    """
    if not isinstance(name, str):
        raise ConfigurationError(f"header names must be text, got {type(name).__name__}")
    if not name or not all(c.isascii() and (c.isalnum() or c in "!#$%&'*+-.^_`|~") for c in name):
        raise ConfigurationError(
            "header names must be RFC 9110 tokens: letters, digits and !#$%&'*+-.^_`|~"
        )
    if name.lower() in _FRAMING:
        raise ConfigurationError(f"the header {name} is set by the transport alone")
