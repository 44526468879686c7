"""
What replay() plays is what was heard while it was recorded: the same chunks, the same ending, in
every dialect and mode, through every kind of fault; and never anything else.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import timeless

import streamkit
from streamkit import (
    AuthenticationError,
    ConfigurationError,
    Limits,
    Overloaded,
    ProtocolError,
    ProviderError,
    StreamInterrupted,
    StreamkitError,
    StreamOptions,
    StreamTimeout,
    Timeouts,
    replay,
    stream,
)
from streamkit.providers import BUILTIN
from streamkit.testing import (
    FAULTS,
    PREFIX,
    Citation,
    Error,
    Gate,
    Hang,
    Headers,
    LocalProvider,
    Pause,
    Raw,
    Reasoning,
    Repeat,
    Reset,
    Status,
    Text,
    Tool,
    Usage,
    Wire,
)
from streamkit.testing.dialects import PREFIXES
from streamkit.testing.pytest_plugin import local_provider

__all__ = ["local_provider"]

KEY = "sk-marker-0123456789abcdef"
MODES = ("direct", "buffered", "managed")
#: Every service that has a format of its own, in every format; one row for those that have none.
NATIVE = ("openai", "azure", "anthropic", "gemini", "vertex", "mistral", "perplexity", "cohere")
SERVICES = [
    (name, api) for name in (*NATIVE, "bedrock", "ollama", "groq") for api in BUILTIN[name].dialects
]
SAID = [
    Reasoning("let me see"),
    Text("Hällo 😀 there", size=3),
    Citation(url="http://127.0.0.1/a", title="A"),
    Tool("add", {"a": 1}, id="call_1", size=3),
    Tool("now"),
    Usage(11, 7, reasoning=3, cached=5),
]
#: Small, so that what never ends is soon over.
OPTIONS = StreamOptions(
    timeout=Timeouts(connect=0.3, first=0.3, content=0.3, wire=0.3, total=1.0),
    retry=None,
    limits=Limits(event=200_000, answer=10_000, error_body=20_000),
)


@dataclass
class Heard:
    """All that a stream told; equal where nothing but the times differs."""

    chunks: list[Any]
    error: tuple[type, str] | None
    outcome: str | None
    result: list[Any]

    @classmethod
    def of(cls, heard: Any) -> Heard:
        chunks: list[Any] = []
        error = None
        try:
            for c in heard.chunks():
                said = (c.kind, c.content, c.index, c.finish_reason, c.model, c.id, c.metadata)
                chunks.append(said)
        except StreamkitError as raised:
            error = (type(raised), timeless(raised))
        r = heard.partial
        names = "text reasoning refusal usage finish_reason outcome model id request_id dropped"
        values = [getattr(r, name) for name in names.split()]
        calls = [(t.index, t.id, t.name, t.arguments) for t in r.tool_calls]
        attempts = [(a.number, a.status, a.request_id, timeless(a.error)) for a in r.attempts]
        return cls(chunks, error, heard.outcome, [*values, calls, len(r.citations), attempts])


@pytest.fixture(autouse=True)
def _idle_sockets() -> Iterator[None]:
    yield
    streamkit.close()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "tape"


@pytest.fixture
def live(local_provider: Callable[..., LocalProvider], place: Path) -> Callable[..., Heard]:
    """Ask, record, and hear."""

    def hear(
        *script: Any,
        provider: str = "openai",
        api: str | None = None,
        scripts: Any = None,
        **kw: Any,
    ) -> Heard:
        server = local_provider(scripts=scripts) if scripts else local_provider(script)
        return Heard.of(
            stream(
                "m", "Hi", provider=provider, api=api, api_key=KEY, record=place,
                base_url=server.base_url(provider), **kw,
            )
        )  # fmt: skip

    return hear


def again(place: Path, **keywords: Any) -> Heard:
    keywords.setdefault("speed", 0)
    return Heard.of(replay(place, **keywords))


@pytest.mark.parametrize(("provider", "api"), SERVICES)
def test_every_dialect_is_replayed_as_it_was_heard(
    live: Callable[..., Heard], place: Path, provider: str, api: str
) -> None:
    assert provider in PREFIXES
    heard = live(*SAID, provider=provider, api=api)
    assert heard.error is None and heard.chunks
    for mode in MODES:
        assert again(place, mode=mode) == heard, mode
    assert KEY not in place.read_text()


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_records_the_same_way(
    live: Callable[..., Heard], place: Path, mode: str
) -> None:
    heard = live(*SAID, mode=mode)
    assert again(place, mode=mode) == heard == again(place)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_ends_as_it_did(
    live: Callable[..., Heard], place: Path, fault: str, provider: str
) -> None:
    heard = live(*FAULTS[fault], provider=provider, options=OPTIONS)
    played = again(place, options=OPTIONS, mode="direct")
    assert played == heard


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", ["rst-mid-event", "stall-after", "no-finish", "error-mid"])
def test_a_fault_ends_as_it_did_in_every_mode(
    live: Callable[..., Heard], place: Path, fault: str, mode: str
) -> None:
    heard = live(*FAULTS[fault], options=OPTIONS)
    assert heard.error is not None and heard.result[0] == PREFIX
    assert again(place, options=OPTIONS, mode=mode) == heard


def test_nobody_there_is_replayed_too(place: Path) -> None:
    with LocalProvider("gone") as server:
        url = server.base_url()
    heard = Heard.of(stream("m", "Hi", base_url=url, record=place, retry=None))
    assert heard.error is not None
    assert again(place) == heard


def test_retries_are_played_one_after_the_other(live: Callable[..., Heard], place: Path) -> None:
    told: list[Any] = []
    heard = live(
        scripts=[[Status(503)], [Reset()], [Status(429)], [Text("at last")]],
        retry={"max_retries": 5, "initial": 0.01},
        on_retry=told.append,
    )
    assert heard.result[0] == "at last" and len(told) == 3
    played = replay(place, speed=0)
    assert Heard.of(played) == heard
    assert played.metrics.retries == 3


def test_the_wait_before_a_retry_is_that_of_the_recording(
    live: Callable[..., Heard], place: Path, time_scale: float
) -> None:
    live(scripts=[[Status(503, headers={"retry-after": "0.4"})], [Text("x")]])
    for speed, low, high in ((1, 0.4, 0.7), (4, 0.1, 0.35), (0, 0, 0.2)):
        start = time.monotonic()
        assert again(place, speed=speed).outcome == "completed"
        assert low <= time.monotonic() - start < high + 0.2 * time_scale


def test_retries_used_up_raise_the_last_error(live: Callable[..., Heard], place: Path) -> None:
    heard = live(Status(500), retry={"max_retries": 2, "initial": 0.0})
    assert heard.error is not None and heard.error[0] is Overloaded
    assert len(heard.result[-1]) == 3
    assert again(place) == heard


def test_the_keywords_shape_the_replay_and_not_the_recording(
    live: Callable[..., Heard], place: Path
) -> None:
    live(Text("one two. three four. ", size=2), units="sentence")
    assert "".join(replay(place, speed=0)) == "one two. three four. "
    assert list(replay(place, speed=0, units="word"))[:2] == ["one ", "two. "]
    assert replay(place, speed=0, stop_when="three").result().text == "one two. "


def test_an_answer_that_was_stopped_breaks_where_it_was(
    live: Callable[..., Heard], place: Path
) -> None:
    heard = live(Text("one two STOP three"), Pause(0.05), Text("four"), stop_when="STOP")
    assert (heard.outcome, heard.result[0]) == ("stopped", "one two ")
    assert again(place, stop_when="STOP") == heard
    played = again(place)
    assert played.error is not None and played.error[0] is StreamInterrupted
    assert played.result[0].startswith("one two ")


@pytest.mark.parametrize("mode", MODES)
def test_a_cancelled_answer_breaks_where_it_was(
    local_provider: Any, place: Path, mode: Any
) -> None:
    server = local_provider([Text("one"), Gate(), Text("two")])
    ours = stream("m", "Hi", base_url=server.base_url(), record=place, mode=mode)
    for _ in ours:
        ours.cancel()
    played = replay(place)
    with pytest.raises(StreamInterrupted, match="stopped while it was recorded"):
        list(played)
    assert played.partial.text == "one"


def test_after_a_finish_reason_a_slow_replay_waits_for_the_rest(
    live: Callable[..., Heard], place: Path
) -> None:
    data = 'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n'
    usage = 'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
    heard = live(Raw(data), Pause(0.3), Raw(usage + "data: [DONE]\n\n"))
    assert heard.result[3].output_tokens == 2
    assert again(place, speed=0.25) == heard


@pytest.mark.parametrize("mode", MODES)
def test_a_cancel_in_a_recorded_wait_is_prompt(
    live: Callable[..., Heard], place: Path, run_in_thread: Any, mode: Any, time_scale: float
) -> None:
    live(Text("one"), Hang(), options=OPTIONS)
    came = threading.Event()
    played = replay(place, speed=0.01, mode=mode, on_text=lambda _: came.set())
    task = run_in_thread(lambda: list(played))
    assert came.wait(10)
    start = time.monotonic()
    played.cancel()
    task.result()
    assert time.monotonic() - start < 0.1 * time_scale
    assert played.outcome == "cancelled"


def test_leaving_the_loop_in_a_recorded_wait_ends_it(
    live: Callable[..., Heard], place: Path
) -> None:
    live(Text("one"), Hang(), options=OPTIONS)
    for text in replay(place, speed=0.01):
        assert text == "one"
        break  # the conftest sees the thread that waited go


ECHOES = {
    "in an error body": [Status(401, {"error": {"message": f"bad key {KEY}"}})],
    "in a header": [Headers({"x-echo": f"Bearer {KEY}", "x-request-id": KEY}), Text("one")],
    "in a stream error": [Text("one"), Error(f"bad key {KEY}", code=KEY, type=KEY)],
    "in the redirect": [Status(302, b"", headers={"location": f"http://{KEY}.invalid/"})],
    "in bytes torn by threes": [Wire(size=3), Raw(f": Bearer {KEY}\n\n"), Text("one")],
    "byte by byte": [Wire(size=1), Raw(f": {KEY}\n\n"), Text("one"), Error(KEY)],
    "cut off by the end": [Text("one"), Raw(f": {KEY[:-1]}"), Reset()],
    "in bad JSON": [Text("one"), Raw(f"data: {{{KEY}\n\n")],
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("where", ECHOES)
def test_a_key_that_the_server_echoes_is_not_in_the_file(
    live: Callable[..., Heard], place: Path, where: str, mode: str
) -> None:
    heard = live(*ECHOES[where], mode=mode, retry=None)
    text = place.read_text()
    assert KEY not in text and KEY[:-1] not in text
    played = again(place)
    if where == "in the redirect":  # a masked host is none, and the error says so
        assert heard.error is not None and played.error is not None
        assert played.error[0] is heard.error[0]
    else:
        assert played == heard


def test_neither_the_prompt_nor_the_request_is_in_the_file(
    local_provider: Any, place: Path
) -> None:
    server = local_provider("fine")
    stream(
        "m", "a secret prompt", system="a secret system", base_url=server.base_url(), record=place,
        headers={"x-mine": "a-secret-header"}, extra_body={"user": "a secret user"},
    ).result()  # fmt: skip
    assert "secret" not in place.read_text()
    assert place.stat().st_mode & 0o777 == 0o600


@given(cuts=st.lists(st.integers(1, 5000), max_size=30))
@settings(max_examples=25)
def test_any_split_of_the_same_bytes_is_replayed_as_it_was_heard(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    place = tmp_path_factory.mktemp("split") / "tape"
    with LocalProvider([Text("Hällo 😀 there", size=2)]) as server:
        whole = tmp_path_factory.mktemp("whole") / "tape"
        heard = Heard.of(stream("m", "Hi", base_url=server.base_url(), record=whole))
    body = b"".join(reads_of(whole))
    with LocalProvider([Raw(body, cuts=tuple(sorted(set(cuts))))]) as server:
        split = Heard.of(stream("m", "Hi", base_url=server.base_url(), record=place))
    assert b"".join(reads_of(place)) == body
    assert split.result[0] == heard.result[0]
    assert again(place) == split


def reads_of(place: Path) -> list[bytes]:
    from streamkit.transport.replay import _data
    from streamkit.transport.tape import TapeReader

    tape, found = TapeReader(str(place)), []
    while (line := tape.peek()) is not None:
        if "text" in line or "base64" in line:
            found.append(_data(line))
        tape.advance()
    return found


def test_a_torn_or_changed_file_never_gives_a_wrong_text(
    live: Callable[..., Heard], place: Path
) -> None:
    heard = live(Text("Hällo 😀 there, said the model.", size=4), Usage(3, 4), Wire(size=40))
    data = place.read_bytes()
    random = Random(31)
    for number in range(400):
        at = random.randrange(len(data))
        junk = bytes(random.randrange(256) for _ in range(random.randrange(4)))
        end = data[at:] if number % 4 else b""
        changed = data[:at] + junk + end[random.randrange(4) :]
        if changed == data:
            continue
        place.write_bytes(changed)
        try:
            played = replay(place, speed=0, mode=MODES[number % 3])
        except ConfigurationError:
            continue
        got = Heard.of(played)
        assert heard.result[0].startswith(got.result[0])
        if got.error is None:
            # Only what comes after the terminal event, which nobody reads, was hit.
            assert got == heard
        else:
            assert got.error[0] is ProtocolError, got.error
            assert got.chunks == heard.chunks[: len(got.chunks)]


@pytest.mark.parametrize("torn", [b"x", b""], ids=["changed", "cut"])
def test_a_file_that_is_torn_behind_a_failed_attempt_is_no_failure_of_the_service(
    live: Callable[..., Heard], place: Path, torn: bytes
) -> None:
    live(scripts=[[Status(503)], [Text("at last")]], retry={"initial": 0.0})
    data = place.read_bytes()
    at = data.index(b'{"attempt":2') + 3
    place.write_bytes(data[:at] + torn + (data[at + 1 :] if torn else b""))
    played = again(place)
    assert played.error is not None and played.error[0] is ProtocolError
    assert played.result[0] == ""


def test_a_process_that_is_killed_leaves_what_had_come(
    local_provider: Any, place: Path, time_scale: float
) -> None:
    server = local_provider([Text("one two "), Gate(), Text("three")])
    code = (
        "import streamkit, sys\n"
        "for t in streamkit.stream('m', 'Hi', base_url=sys.argv[1], record=sys.argv[2]):\n"
        "    print(t, end='', flush=True)\n"
    )
    spec = importlib.util.find_spec("streamkit")
    assert spec is not None and spec.origin is not None
    with subprocess.Popen(
        [sys.executable, "-c", code, server.base_url(), str(place)],
        env={**os.environ, "PYTHONPATH": str(Path(spec.origin).parents[1])},
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        server.wait_gate(timeout=20 * time_scale)
        assert child.stdout.read(len(b"one two ")) == b"one two "
        child.send_signal(signal.SIGKILL)
    played = again(place)
    assert played.error is not None and played.error[0] is ProtocolError
    assert "ends in the middle" in played.error[1]
    assert played.result[0] == "one two "


def test_a_disk_that_fails_leaves_the_stream_alone(
    live: Callable[..., Heard], place: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    real, room = os.write, [1500]

    def write(file: int, data: Any) -> int:
        room[0] -= len(data)
        if room[0] < 0:
            raise OSError(28, "No space left on device")
        return real(file, data)

    monkeypatch.setattr("streamkit.transport.tape.os.write", write)
    heard = live(Text("one two three four", size=1))
    assert (heard.error, heard.result[0]) == (None, "one two three four")
    assert caplog.text.count("recording stopped") == 1
    played = again(place)
    assert played.error is not None and played.error[0] is ProtocolError
    assert heard.result[0].startswith(played.result[0])


# What is refused, before anything is sent.


@pytest.mark.usefixtures("gone_folder")
def test_a_relative_name_in_a_folder_that_is_gone_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="in a folder that exists"):
        streamkit.stream("openai/x", "hi", api_key="none", record="answer.jsonl")
    with pytest.raises(ConfigurationError, match="in a folder that exists"):
        streamkit.replay("answer.jsonl")


def test_a_file_that_exists_is_refused(local_provider: Any, place: Path) -> None:
    server = local_provider("x")
    place.write_text("mine")
    with pytest.raises(ConfigurationError, match="record must name a new file"):
        stream("m", "Hi", base_url=server.base_url(), record=place)
    assert place.read_text() == "mine" and server.requests == []


@pytest.mark.parametrize("bad", ["", "a\0b", 7, b"bytes", ["a"], True])
def test_what_is_no_path_is_refused(bad: Any, place: Path) -> None:
    with pytest.raises(ConfigurationError, match="record must be the path of a file"):
        stream("m", "Hi", base_url="http://127.0.0.1:9", record=bad)
    with pytest.raises(ConfigurationError, match="path must be the path of a file"):
        replay(bad)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="folder that exists"):
        stream("m", "Hi", base_url="http://127.0.0.1:9", record=tmp_path / "no" / "tape")


def test_nothing_is_written_before_the_first_use(local_provider: Any, place: Path) -> None:
    server = local_provider("x")
    ours = stream("m", "Hi", base_url=server.base_url(), record=place)
    assert not place.exists()
    ours.result()
    assert place.exists()


def test_the_file_is_where_it_was_named_wherever_the_process_goes(
    local_provider: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = local_provider("x")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    ours = stream("m", "Hi", base_url=server.base_url(), record="tape")
    monkeypatch.chdir(tmp_path / "other")
    ours.result()
    assert (tmp_path / "tape").exists() and not (tmp_path / "other" / "tape").exists()


def test_other_keywords_of_a_request_are_not_for_a_replay(place: Path) -> None:
    for keywords in ({"retry": True}, {"api_key": KEY}, {"record": "x"}, {"spede": 2}):
        with pytest.raises(ConfigurationError, match=r"replay\(\) has no keyword"):
            replay(place, **keywords)  # type: ignore[arg-type]


def test_a_client_takes_a_recording_for_each_stream_only(
    local_provider: Any, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="has no keyword 'record'"):
        streamkit.Client(record=tmp_path / "x")  # type: ignore[call-arg]
    server = local_provider("x")
    with streamkit.Client(base_url=server.base_url()) as client:
        for name in "ab":
            client.stream("m", "Hi", record=tmp_path / name).result()
    assert [again(tmp_path / name).result[0] for name in "ab"] == ["x", "x"]


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"provider": "nobody", "api": "chat", "model": "m", "base_url": "http://127.0.0.1/v1"},
        {"provider": "openai", "api": "nothing", "model": "m", "base_url": "http://127.0.0.1"},
        {"provider": "openai", "api": "chat", "model": 7, "base_url": "http://127.0.0.1"},
        {"provider": "openai", "api": "chat", "model": "m", "base_url": "ftp://x"},
        {"provider": "openai", "api": None, "model": "m", "base_url": "http://127.0.0.1"},
    ],
)
def test_a_recording_of_what_is_not_known_here_is_refused(
    place: Path, facts: dict[str, Any]
) -> None:
    from streamkit.transport.tape import TapeWriter

    writer = TapeWriter(str(place))
    writer.write({"format": 1, **facts})
    writer.close()
    with pytest.raises(ConfigurationError):
        replay(place)


def test_no_key_is_needed_to_play(
    live: Callable[..., Heard], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = live(Status(401), retry=None)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert heard.error is not None and heard.error[0] is AuthenticationError
    assert again(place) == heard
    assert issubclass(heard.error[0], ProviderError)


def test_plain_http_from_another_machine_needs_no_permission_to_play(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more: real("127.0.0.1", *more))
    with LocalProvider([Text("Hello")]) as provider:
        url = provider.base_url("openai").replace("127.0.0.1", "gpu.test")
        with pytest.raises(ConfigurationError):
            stream("m", "hi", base_url=url)
        stream("m", "hi", base_url=url, allow_http=True, record=place).result(5)
    assert replay(place, speed=0).result(5).text == "Hello"
    streamkit.close()


def test_a_recorded_time_out_is_raised_at_its_time(
    live: Callable[..., Heard], place: Path, time_scale: float
) -> None:
    heard = live(Text("one"), Hang(), options=OPTIONS)
    assert heard.error is not None and heard.error[0] is StreamTimeout
    start = time.monotonic()
    assert again(place, speed=1) == heard
    assert 0.3 <= time.monotonic() - start < 0.3 + 0.4 * time_scale


def test_many_may_play_one_file_and_none_keeps_it_open(
    live: Callable[..., Heard], place: Path
) -> None:
    heard = live(Repeat([Text("word ")], times=50), Usage(1, 2))
    both = streamkit.merge(a=replay(place, speed=0), b=replay(place, speed=0))
    texts = {"a": "", "b": ""}
    for name, chunk in both:
        texts[name] += chunk.content
    assert texts["a"] == texts["b"] == heard.result[0] == "word " * 50
    links = [os.readlink(entry.path) for entry in os.scandir("/proc/self/fd") if entry.is_symlink()]
    assert str(place) not in links
