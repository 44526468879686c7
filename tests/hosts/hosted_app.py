"""
The WSGI application of the tests: a Client, and with ``HOSTED_EARLY`` two streams, at module level.

A server that loads it before it forks takes them into its workers. One stream is over, so that its
connection waits in the pool; the other stands in the middle of its answer.
"""

import os
from urllib.parse import parse_qsl

from streamkit import SSE_HEADERS, Client, ConcurrencyError, Stream

client = Client(provider="openai", base_url=os.environ["HOSTED_URL"], api_key="sk-hosted")
#: Streams that outlive the request that began them.
running = {}


def ask(mode="buffered", play="two"):
    return client.stream("m", "Hi", mode=mode, extra_body={"play": play})


def open_early():
    assert ask().result().text == "one two"
    held = ask(play="hang")
    held.get()
    return held


loader = os.getpid()
early = open_early() if "HOSTED_EARLY" in os.environ else None


def text(mode="buffered", play="two"):
    return ask(mode, play).result().text


def inherited():
    """What becomes of the stream of the process that loaded this."""
    assert isinstance(early, Stream) and os.getpid() != loader
    try:
        return early.result().text
    except ConcurrencyError as error:
        return str(error)


def begin(**asked):
    running["one"] = ask(**asked).start()
    return "begun"


def finish():
    return running.pop("one").wait(10).text


VIEWS = {"/text": text, "/inherited": inherited, "/begin": begin, "/finish": finish}


def application(environ, start_response):
    asked = dict(parse_qsl(environ["QUERY_STRING"]))
    if environ["PATH_INFO"] == "/events":
        start_response("200 OK", list(SSE_HEADERS.items()))
        return ask(**asked).sse()
    said = VIEWS[environ["PATH_INFO"]](**asked)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [said.encode()]
