"""
Base URLs: what is refused before any request is made, and how services make theirs from the
environment, which holds a host (Ollama), a URL without its path (Groq), or words to build it of
(Vertex AI, Bedrock).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from streamkit.errors import ConfigurationError

__all__ = [
    "bedrock_url",
    "checked_base_url",
    "groq_url",
    "is_loopback",
    "ollama_openai_url",
    "ollama_url",
    "vertex_url",
]

#: Characters that make URL readers disagree about where the host ends.
_FORBIDDEN = frozenset('\\<>"^`{|}')

#: A part of a DNS name, and one that makes a number of the whole.
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE)

OLLAMA_PORT = 11434

#: What Ollama's server listens on, and where a client finds it.
_LISTENING = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def checked_base_url(url: str, source: str = "base_url", *, allow_http: bool = False) -> str:
    """
    The URL without its trailing slashes.

    No message quotes the URL: it may hold a password.

    Args:
        url: Scheme, host, perhaps port and path; nothing else.
        source: What to call it in errors: the argument, or the environment variable.
        allow_http: Take plain http to other machines too, not to this one alone.

    Raises:
        ConfigurationError: Not https, and not http to this machine either; no host that a resolver
            takes for one; a user name, query, fragment or bad port; a blank, a control character,
            or one outside ASCII. Source: PROMISES.md S5.
    """
    # Whatever may hold a password is refused before it is taken apart: the pieces would be plain
    # text in the locals of a traceback, where ``url`` itself is a Secret.
    if not isinstance(url, str) or not all("!" <= c <= "~" and c not in _FORBIDDEN for c in url):
        raise ConfigurationError(
            f"{source} must be an ASCII URL without blanks or control characters"
        )
    if "@" in url.split("?")[0]:
        raise ConfigurationError(f"{source} must not hold a user name or password; use api_key=")
    if "?" in url or "#" in url:
        raise ConfigurationError(f"{source} must not have a query or a fragment")
    if not url.lower().startswith(("http://", "https://")):
        raise ConfigurationError(f"{source} must begin with http:// or https://")
    place = _host_and_port(url)
    if place is None:
        raise ConfigurationError(f"{source} has a malformed host or port")
    if not place[0] or place[1] == 0:
        raise ConfigurationError(f"{source} must name a host, and a port above 0 if any")
    if not _is_host(place[0]):
        raise ConfigurationError(f"{source} must name its host by a DNS name or a full IP address")
    if not (allow_http or url.lower().startswith("https:") or is_loopback(place[0])):
        raise ConfigurationError(
            f"{source} must begin with https://, or name this machine: over plain http the network "
            "can read key and prompt (allow_http=True permits that)"
        )
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """
    Whether a host is this machine, by its spelling alone: nothing is looked up.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "api.localhost", "127.0.0.1.example")]
    [True, True, True, False]
    """
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 section 6.3
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    if isinstance(address, IPv4Address):
        return address.is_loopback
    return address == IPv6Address(1)


def _is_host(host: str) -> bool:
    """
    Whether all who read the name take it for the same host.

    Beyond DNS syntax: numbers such as ``127.1`` and ``2130706433`` are addresses to some resolvers
    and names to others, and ``xn--`` must begin the ASCII form of a name outside ASCII.
    """
    try:
        ip_address(host)
        return True
    except ValueError:
        pass
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or _NUMBER.fullmatch(labels[-1]):
        return False
    return all(_LABEL.fullmatch(label) and _is_idna(label) for label in labels)


def _is_idna(label: str) -> bool:
    if label[:4].lower() != "xn--":
        return True
    try:
        return not label[4:].encode().decode("punycode").isascii()
    except UnicodeError:
        return False


def _host_and_port(url: str) -> tuple[str | None, int | None] | None:
    """None if they are malformed."""
    try:
        parts = urlsplit(url)
        if "[" in parts.netloc:  # urlsplit checks what is in brackets since Python 3.11 only
            ip_address(parts.hostname or "")
        return parts.hostname, parts.port
    except ValueError:
        return None


def ollama_url(host: str) -> str:
    """
    OLLAMA_HOST -> a base URL: any part may be left out.

    >>> ollama_url("192.168.0.2"), ollama_url("https://example.com"), ollama_url(":8080")
    ('http://192.168.0.2:11434', 'https://example.com:443', 'http://127.0.0.1:8080')

    The port is 11434, but 80 or 443 where a scheme is written, as in Ollama's own client. A server
    that listens on all addresses, 0.0.0.0, is reached on this machine.
    """
    if "@" in host:  # first, as in checked_base_url
        raise ConfigurationError("OLLAMA_HOST must not hold a user name or password")
    scheme, mark, rest = host.strip().partition("://")
    if not mark:
        scheme, rest = "http", scheme
        default = OLLAMA_PORT
    else:
        default = {"http": 80, "https": 443}.get(scheme, OLLAMA_PORT)
    authority, _, path = rest.partition("/")
    authority = _bracketed(authority)
    try:
        parts = urlsplit(f"//{authority}")
        name, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError("OLLAMA_HOST has a malformed host or port") from None
    name = _bracketed(_LISTENING.get(name, name))
    path = path.strip("/")
    return f"{scheme}://{name}:{port or default}" + (f"/{path}" if path else "")


def _bracketed(host: str) -> str:
    """An IPv6 address in its brackets, in its short form; any other text as it is."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return host
    return f"[{address}]" if isinstance(address, IPv6Address) else host


def ollama_openai_url(host: str) -> str:
    """OLLAMA_HOST -> the base URL of its OpenAI endpoint."""
    return ollama_url(host) + "/v1"


def groq_url(url: str) -> str:
    """GROQ_BASE_URL, which for Groq's own client ends before the path, with the path."""
    base = url.rstrip("/")
    return base if base.endswith("/openai/v1") else base + "/openai/v1"


def vertex_url(params: Mapping[str, str]) -> str:
    """
    Project and location -> the base URL of Vertex AI.

    Source: the official SDKs, anthropic 2.11 and google-genai 3.4.

    Raises:
        ConfigurationError: One of them is missing, or is no single word.
    """
    project = _label(params, "project", "GOOGLE_CLOUD_PROJECT")
    location = _label(params, "location", "GOOGLE_CLOUD_LOCATION")
    if location in ("us", "eu"):  # many regions of one jurisdiction
        host = f"aiplatform.{location}.rep"
    else:
        host = "aiplatform" if location == "global" else f"{location}-aiplatform"
    return f"https://{host}.googleapis.com/v1beta1/projects/{project}/locations/{location}"


def bedrock_url(params: Mapping[str, str]) -> str:
    """
    Region -> the base URL of Bedrock.

    Raises:
        ConfigurationError: It is missing, or is no single word.
    """
    region = _label(params, "region", "AWS_REGION")
    return f"https://bedrock-runtime.{region}.amazonaws.com"


def _label(params: Mapping[str, str], name: str, variable: str) -> str:
    """A parameter that can stand in a URL; ``variable`` is where to set it if it is missing."""
    value = params.get(name, "")
    if not value:
        raise ConfigurationError(f"no {name}: set {variable} or pass base_url=", missing=True)
    # It becomes part of a host name or a path, and so must not be able to name another.
    if not all(c.isascii() and (c.isalnum() or c in "-_:.") for c in value) or ".." in value:
        raise ConfigurationError(f"{name} must be letters, digits and - _ : . alone, without ..")
    return value
