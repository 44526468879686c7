"""
Seal a process off from the network, loopback excepted.

The tests seal themselves (conftest.py); ``python sealed.py SCRIPT`` runs a script sealed, which is
how the examples are tested. An audit hook sees every connect and every name lookup of the process,
whichever library makes it.
"""

import errno
import ipaddress
import runpy
import socket
import sys

#: Names that mean this machine, without a lookup anywhere else.
LOCAL_NAMES = frozenset({"", "localhost"})

LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})


class Seal:
    """
    The hook. Python cannot remove an audit hook, so there is a switch instead.

    Thread safety: **shared**; ``closed`` is switched between tests only.
    """

    def __init__(self) -> None:
        self.closed = True
        sys.addaudithook(self._audit)

    def _audit(self, event: str, args: tuple) -> None:
        if not self.closed:
            return
        if event in LOOKUPS and not is_local(args[0]):
            raise socket.gaierror(socket.EAI_NONAME, f"sealed: no lookup of {args[0]!r}")
        if event == "socket.connect":
            peer = args[1]  # a path for AF_UNIX, a tuple for AF_INET and AF_INET6
            if isinstance(peer, tuple) and not is_local(peer[0]):
                raise OSError(errno.ENETUNREACH, f"sealed: no connection to {peer[0]!r}")


def is_local(host: object) -> bool:
    """Whether a host, as given to a lookup or a connect, is this machine."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name is None or name in LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(str(name)).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    Seal()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
