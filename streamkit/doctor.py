"""
What ``python -m streamkit doctor`` prints, to read when nothing works and to paste into a report.

No key, password or prompt is shown, and nothing is sent but one HEAD request without a key to each
provider that is set up.
"""

from __future__ import annotations

import os
import platform
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from threading import Thread
from time import monotonic
from urllib.request import getproxies

from streamkit import Client, ConfigurationError, StreamkitError, Timeouts, __version__
from streamkit.deadline import Clocks
from streamkit.integrations.terminal import Screen
from streamkit.providers import BUILTIN, resolve
from streamkit.request import Request
from streamkit.transport.base import Link
from streamkit.transport.http import HttpTransport

__all__ = ["examine", "proxies_bypassed"]

#: Seconds for one provider's answer. A name lookup cannot be stopped: after PATIENCE we go on.
TIMEOUTS = Timeouts(connect=3.0, first=3.0, content=3.0, wire=3.0, total=3.0)
PATIENCE = 4.0

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def examine(out: Screen) -> int:
    """Show versions, keys (their names only), proxies and connections of this machine."""
    for label, value in _about():
        out.write(f"{label:<10} {value}\n")
    for name, state in _reachable().items():
        out.write(f"{name:<10} {state}\n")
    passed, state = _self_test()
    out.write(f"{'self test':<10} {state}\n")
    return 0 if passed else 1


def _about() -> Iterator[tuple[str, str]]:
    yield "streamkit", __version__
    yield "python", f"{platform.python_version()} {sys.executable} ({platform.platform()})"
    yield "requests", f"{_version('requests')}, urllib3 {_version('urllib3')}"
    yield "TLS", ssl.OPENSSL_VERSION
    yield "keys", ", ".join(_keys()) or "none set"
    proxies = [f"{name}={_bare(url)}" for name, url in sorted(getproxies().items())]
    yield "proxies", ", ".join(proxies) or "none"
    yield "CA vars", ", ".join(_ca_files()) or "none set: the bundle that requests brings"


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # vendored, or a tree on PYTHONPATH
        return "(version unknown)"


def _keys() -> list[str]:
    names = [name for s in BUILTIN.values() for name in s.key_env + s.bearer_env]
    return [name for name in dict.fromkeys(names) if os.environ.get(name)]


def _bare(url: str) -> str:
    """A proxy's address without user name and password, which may hold any character."""
    userinfo, at, host = url.rpartition("@")
    scheme, mark, _ = userinfo.partition("://")
    return f"{scheme + mark if mark else ''}***@{host}" if at else url


def _ca_files() -> Iterator[str]:
    for name in CA_VARIABLES:
        if path := os.environ.get(name):
            yield f"{name}={path}" + ("" if os.path.exists(path) else " (does not exist)")


def _reachable() -> dict[str, str]:
    """
    Provider -> what its address answered, or what is wrong with its settings; all are asked at
    once. Those without a key or an address share the last row.
    """
    found: dict[str, str] = {}
    unset = []
    threads = []
    for name in BUILTIN:
        try:
            url = resolve("any", provider=name).endpoint.base_url
        except ConfigurationError as error:
            if error.missing:
                unset.append(name)
            else:
                found[name] = f"not set up: {error}"
            continue
        found[name] = f"{url} gave no answer within {PATIENCE:g} s"
        threads.append(Thread(target=_ask, args=(found, name, url), daemon=True))
        threads[-1].start()
    until = monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, until - monotonic()))
    return {**found, "not set up": ", ".join(unset) or "none"}


def _ask(found: dict[str, str], name: str, url: str) -> None:
    transport = HttpTransport()
    try:
        answer = transport.open(Request(url=url, headers={}, method="HEAD"), Link(Clocks(TIMEOUTS)))
        found[name] = f"{url} is reachable (HTTP {answer.status})"
        answer.close()
    except StreamkitError as error:
        found[name] = f"{url} is not reachable: {error}"
    finally:
        transport.close()


@contextmanager
def proxies_bypassed() -> Iterator[None]:
    """Inside the block no proxy stands before 127.0.0.1: it could not reach this process."""
    before = {name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy")}
    for name in before:
        os.environ[name] = ",".join(filter(None, (*before.values(), "127.0.0.1")))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)  # on Windows the two are one
            else:
                os.environ[name] = value


def _self_test() -> tuple[bool, str]:
    """Stream an answer from a server in this process, through all of the library."""
    from streamkit.testing import LocalProvider, Text

    words = "one two three four five six seven eight nine ten"
    try:
        with proxies_bypassed(), LocalProvider([Text(words)]) as server, Client() as client:
            result = client.stream("demo", "Count", base_url=server.base_url()).result(PATIENCE)
    except (StreamkitError, OSError) as error:
        return False, f"failed: {error}"
    numbers = result.metrics
    if result.text != words or numbers is None:
        return False, f"failed: the answer came back as {result.text!r}"
    return True, f"passed: {numbers.chunks_received} chunks in {numbers.duration_ms:.1f} ms"
