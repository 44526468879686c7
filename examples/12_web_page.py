"""
Send an answer to a browser as server-sent events, from a plain WSGI application.

Look at: what the browser gets. When it leaves, the server calls close() on the body, and that stops
the model. A failure is told in the event stream, with no key and nothing internal in it.

STREAMKIT_LIVE=1 asks a real model (see 01_hello.py).
"""

import os
from collections.abc import Callable, Iterable
from threading import Thread
from urllib.request import urlopen
from wsgiref.simple_server import WSGIRequestHandler, make_server

from streamkit import SSE_HEADERS, stream
from streamkit.testing import LocalProvider, Text

ANSWER = Text("Water\nfalls.")


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def main(model: str, base_url: str | None = None) -> None:
    def app(environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
        start_response("200 OK", list(SSE_HEADERS.items()))
        return stream(model, "What does water do?", base_url=base_url).sse()

    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        with urlopen(f"http://127.0.0.1:{server.server_port}/") as page:
            for line in page:
                print(line.decode(), end="")
        thread.join()


if __name__ == "__main__":
    if os.environ.get("STREAMKIT_LIVE") == "1":
        main(os.environ.get("STREAMKIT_MODEL", "openai/gpt-4o-mini"))
    else:
        with LocalProvider([ANSWER]) as server:
            main("demo", base_url=server.base_url())
