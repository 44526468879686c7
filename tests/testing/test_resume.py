"""Answers of a LocalProvider that are taken up where they broke, as OpenAI and llama.cpp let it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from itertools import pairwise
from typing import Any

import pytest

from streamkit.chunk import Chunk
from streamkit.providers.base import Resume
from streamkit.providers.registry import resolve
from streamkit.request import Call, Message, Request
from streamkit.testing import (
    Cut,
    Fin,
    Framing,
    Gate,
    LocalProvider,
    Reasoning,
    Reset,
    Status,
    Step,
    Text,
    Tool,
)

TEXT = "The river bends because the bank erodes on one side.\n\nSo it — 河 — goes."
SERVICES = {
    "openai": {"api": "responses", "extra_body": {"background": True}},
    "llamacpp": {"api": "chat", "extra_headers": {"X-Conversation-Id": "c/1"}},
}


class Reader:
    """One answer, read by the library's own dialect over as many connections as it takes."""

    def __init__(self, provider: LocalProvider, service: str, **changes: Any) -> None:
        given = {**SERVICES[service], **changes}
        base = provider.base_url(service)
        target = resolve(
            "m", provider=service, api=given.pop("api"), base_url=base, api_key="k", env={}
        )
        self.dialect = target.dialect(target.endpoint)
        self.decoder = self.dialect.decoder(max_event=1 << 20)
        call = Call(model="m", messages=(Message.user("Hi"),), **given)
        self.request = self.dialect.request(call)
        self.body = bytearray()
        self.chunks: list[Chunk] = []

    @property
    def text(self) -> str:
        return "".join(chunk.content for chunk in self.chunks if chunk.kind == "text")

    def read(self, request: Request, most: int | None = None) -> int:
        """Feed what the answer says, up to so many bytes, and give its status."""
        status, data = fetch(request)
        data = data[:most]
        if status == 200:
            self.body += data
            for event in self.decoder.feed(data):
                self.chunks += self.dialect.feed(event)
        return status

    def resume(self) -> Resume | None:
        """What asks for the rest; the decoder is made ready for it."""
        resume = self.dialect.resume(self.request, len(self.body))
        if resume is not None and resume.by == "event":
            self.decoder = self.dialect.decoder(max_event=1 << 20)
        return resume

    def go_on(self) -> int:
        resume = self.resume()
        assert resume is not None
        return self.read(resume.request)


def fetch(request: Request) -> tuple[int, bytes]:
    scheme, _, rest = request.url.partition("://")
    assert scheme == "http"
    host, slash, path = rest.partition("/")
    connection = HTTPConnection(host, timeout=5)
    heard = bytearray()
    try:
        connection.request(request.method, slash + path, request.body, dict(request.headers))
        response = connection.getresponse()
        with suppress(HTTPException, ConnectionError):
            while data := response.read1():
                heard += data
        return response.status, bytes(heard)
    finally:
        connection.close()


def words(*breaks: int, text: str = TEXT, step: Step | None = None) -> list[Step]:
    """The text, broken behind so many of its characters."""
    steps: list[Step] = []
    edges = [0, *breaks, len(text)]
    for start, end in pairwise(edges):
        if steps:
            steps.append(step or Reset())
        if text[start:end]:
            steps.append(Text(text[start:end]))
    return steps


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("end", [Reset(), Fin(), Cut()], ids=["reset", "fin", "cut"])
def test_the_script_goes_on_behind_the_break(local_provider: Any, service: str, end: Step) -> None:
    provider = local_provider(words(20, step=end))
    reader = Reader(provider, service)
    reader.read(reader.request)
    assert (reader.text, reader.dialect.finished) == (TEXT[:20], False)
    reader.go_on()
    assert (reader.text, reader.dialect.finished) == (TEXT, True)
    assert [r.method for r in provider.requests] == ["POST", "GET"]


@pytest.mark.parametrize("service", SERVICES)
def test_each_break_is_played_once(local_provider: Any, service: str) -> None:
    reader = Reader(local_provider(words(3, 20, 40)), service)
    reader.read(reader.request)
    heard = [reader.text]
    while not reader.dialect.finished:
        reader.go_on()
        heard.append(reader.text)
    assert heard == [TEXT[:3], TEXT[:20], TEXT[:40], TEXT]


@pytest.mark.parametrize("service", SERVICES)
def test_wherever_the_client_lost_it_the_whole_is_the_same(
    local_provider: Any, service: str
) -> None:
    steps = [Reasoning("hm"), Text("a — b"), Tool("f", {"x": 1}), Text("c"), Reset()]
    provider = local_provider(steps)
    first = Reader(provider, service)
    first.read(first.request)
    length = len(first.body)
    first.go_on()
    expected = shown(first.chunks)
    assert first.dialect.finished
    for lost in range(1, length, 7):
        reader = Reader(provider, service)
        reader.read(reader.request, length - lost)
        if reader.resume() is None:  # the first event had not come, which names the answer
            assert not reader.chunks
            continue
        reader.go_on()
        assert shown(reader.chunks) == expected
        if service == "llamacpp":
            whole = Request(
                url=f"{provider.base_url(service)}/stream?conv_id=c/1", headers={}, method="GET"
            )
            assert fetch(whole)[1] == reader.body


def shown(chunks: Sequence[Chunk]) -> list[tuple[str, str]]:
    """Runs of each kind: where the answer broke is not to be seen."""
    runs: list[tuple[str, str]] = []
    for chunk in chunks:
        if chunk.content and runs and runs[-1][0] == chunk.kind:
            runs[-1] = (chunk.kind, runs[-1][1] + chunk.content)
        elif chunk.content:
            runs.append((chunk.kind, chunk.content))
    return runs


def test_the_events_keep_their_numbers(local_provider: Any) -> None:
    provider = local_provider(words(20))
    reader = Reader(provider, "openai")
    reader.read(reader.request)
    reader.go_on()
    numbers = [
        json.loads(line[6:])["sequence_number"]
        for line in reader.body.decode().splitlines()
        if line.startswith("data: ")
    ]
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("service", SERVICES)
def test_a_wait_behind_the_break_is_played_when_something_new_comes(
    local_provider: Any, service: str
) -> None:
    provider = local_provider([Text("a "), Gate(), Reset(), Text("b "), Gate(), Text("c")])
    provider.release(2)
    reader = Reader(provider, service)
    reader.read(reader.request)
    reader.go_on()
    assert reader.text == "a b c"


@pytest.mark.parametrize("service", SERVICES)
def test_a_length_declared_for_the_whole_is_not_that_of_the_rest(
    local_provider: Any, service: str
) -> None:
    reader = Reader(local_provider([Framing("length"), *words(20)]), service)
    reader.read(reader.request)
    reader.go_on()
    assert (reader.text, reader.dialect.finished) == (TEXT, True)


@pytest.mark.parametrize("service", SERVICES)
def test_a_status_that_comes_next_stands_in_its_place(local_provider: Any, service: str) -> None:
    provider = local_provider(scripts=[words(20), Status(400, message="offset lost"), "next"])
    reader = Reader(provider, service)
    reader.read(reader.request)
    resume = reader.resume()
    assert resume is not None
    status, body = fetch(resume.request)
    assert (status, json.loads(body)["error"]["message"]) == (400, "offset lost")
    other = Reader(provider, service)
    other.read(other.request)
    assert other.text == "next"


def test_the_rest_takes_no_script_of_its_own(local_provider: Any) -> None:
    provider = local_provider(scripts=[words(20), "second"])
    reader = Reader(provider, "llamacpp")
    reader.read(reader.request)
    reader.go_on()
    assert reader.text == TEXT
    second = Reader(provider, "llamacpp")
    second.read(second.request)
    assert second.text == "second"


@pytest.mark.parametrize(
    ("service", "changes", "path"),
    [
        ("openai", {"extra_body": {}}, "/responses/resp_local1?stream=true&starting_after=2"),
        ("llamacpp", {"extra_headers": {}}, "/stream?conv_id=c%2F1&from=2"),
    ],
)
def test_nothing_is_kept_that_was_not_asked_for(
    local_provider: Any, service: str, changes: Any, path: str
) -> None:
    provider = local_provider(words(20))
    reader = Reader(provider, service, **changes)
    reader.read(reader.request)
    assert reader.resume() is None
    asked = Request(url=provider.base_url(service) + path, headers={}, method="GET")
    status, body = fetch(asked)
    assert (status, "no answer is kept" in json.loads(body)["error"]["message"]) == (404, True)


def test_a_new_request_with_the_same_id_replaces_the_answer(local_provider: Any) -> None:
    provider = local_provider(scripts=[words(20), words(9, text="another river")])
    first = Reader(provider, "llamacpp")
    first.read(first.request)
    second = Reader(provider, "llamacpp")
    second.read(second.request)
    second.go_on()
    assert second.text == "another river"


def test_other_paths_and_other_requests_are_what_they_were(local_provider: Any) -> None:
    provider = local_provider("hi")
    for path in ("/v1/responses/resp_local1", "/v1/stream?conv_id=x", "/v1/models"):
        status, _ = fetch(Request(url=provider.url + path, headers={}, method="GET"))
        assert status == (200 if path.endswith("models") else 404)
