"""
``python -m streamkit``: in this process where only words go in and come out, else as a shell runs
it, with real pipes, terminals and signals.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import streamkit
from streamkit import doctor
from streamkit.__main__ import DEFAULT_MODELS, _parser, main
from streamkit.integrations.terminal import Screen, printable
from streamkit.providers import BUILTIN, resolve
from streamkit.testing import (
    BeforeHeaders,
    Cut,
    Error,
    Finish,
    Gate,
    LocalProvider,
    Refusal,
    Repeat,
    Status,
    Text,
    Tool,
)

COMMAND = [sys.executable, "-W", "error", "-m", "streamkit"]
KEY = "sk-canary-0123456789"
NASTY = "\x1b]52;c;cm0gLXJmIC8=\x07\x1b[31m \x9b2J \u202e caf\u00e9\r"


def environment(**extra: str) -> dict[str, str]:
    spec = importlib.util.find_spec("streamkit")
    assert spec is not None and spec.origin is not None
    return {**os.environ, "PYTHONPATH": str(Path(spec.origin).parents[1]), **extra}


@contextmanager
def started(*words: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The command, running; killed at the end if it still does."""
    options = {"env": environment(), "stdin": subprocess.DEVNULL, **options}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, *words], **{**pipes, **options}) as process:
        try:
            yield process
        finally:
            process.kill()


def run(*words: str, stdin: bytes = b"", **variables: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of the command in this process, with nothing but pipes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        streams = {"stdin": io.BytesIO(stdin), "stdout": io.BytesIO(), "stderr": io.BytesIO()}
        for name, raw in streams.items():
            patch.setattr(sys, name, io.TextIOWrapper(raw, encoding="ascii", newline="\n"))
        status = main(words)
        return status, streams["stdout"].getvalue().decode(), streams["stderr"].getvalue().decode()


def at(server: LocalProvider) -> list[str]:
    return ["-m", "demo", "--base-url", server.base_url()]


@pytest.fixture
def serve() -> Iterator[Callable[..., LocalProvider]]:
    servers: list[LocalProvider] = []

    def make(*script: Any, **options: Any) -> LocalProvider:
        servers.append(LocalProvider(script or None, **options))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


# What is asked, and whom.


def test_without_a_key_a_demo_server_answers_and_says_what_it_is() -> None:
    with started("Why do rivers meander?") as process:
        out, err = (part.decode() for part in process.communicate(timeout=30))
    assert process.returncode == 0
    assert out.startswith("Hello!") and "real HTTP" in out
    assert err.count("\n") == 1
    assert "demo server" in err and "http://127.0.0.1:" in err
    assert all(word in err for word in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "-m"))


def test_the_demo_works_behind_a_proxy() -> None:
    status, out, _ = run("Hi", HTTP_PROXY="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9")
    assert status == 0 and out.startswith("Hello!")


@pytest.mark.parametrize(
    ("provider", "key", "base"),
    [
        ("openai", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
        ("anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
        ("anthropic", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"),
    ],
)
def test_a_key_in_the_environment_chooses_provider_and_model(
    provider: str, key: str, base: str, serve: Callable[..., LocalProvider]
) -> None:
    server = serve(Text("Hello"))
    status, out, err = run("Hi", **{key: KEY, base: server.base_url(provider)})
    assert (status, out) == (0, "Hello")
    assert f"{key} is set, asking {provider}/{DEFAULT_MODELS[provider]}" in err
    assert KEY not in err
    (request,) = server.requests
    assert request.json["model"] == DEFAULT_MODELS[provider]
    assert KEY in request.headers.get("authorization", "") + request.headers.get("x-api-key", "")


@pytest.mark.parametrize("provider", DEFAULT_MODELS)
def test_every_default_model_has_a_provider(provider: str) -> None:
    assert resolve(f"{provider}/{DEFAULT_MODELS[provider]}", api_key=KEY).service.name == provider
    assert BUILTIN[provider].key_env


def test_options_reach_the_request(serve: Callable[..., LocalProvider]) -> None:
    server = serve(Text("Hello"))
    for mode in ("direct", "buffered", "managed"):
        status, out, err = run("Hi", *at(server), "--system", "Be brief.", "--mode", mode)
        assert (status, out, err) == (0, "Hello", "")
        assert server.requests[-1].json["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ]


@pytest.mark.parametrize("words", [["-"], []])
def test_the_prompt_comes_from_a_pipe(
    words: list[str], serve: Callable[..., LocalProvider]
) -> None:
    server = serve(Text("Hello"))
    prompt = "\ufeff  caf\u00e9\r\n  two\n".encode() + b"\xff\n"
    assert run(*at(server), *words, stdin=prompt)[:2] == (0, "Hello")
    content = server.requests[0].json["messages"][0]["content"]
    assert content == "  caf\u00e9\r\n  two\n\ufffd"


def test_the_word_doctor_can_be_asked_about(serve: Callable[..., LocalProvider]) -> None:
    server = serve(Text("A physician."))
    setup = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url()}
    assert run("--", "doctor", **setup)[:2] == (0, "A physician.")
    assert run(*at(server), "doctor")[:2] == (0, "A physician.")
    assert {request.json["messages"][0]["content"] for request in server.requests} == {"doctor"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-m", "openai/gpt-4o-mini", "Hi"], "set OPENAI_API_KEY"),
        (["-m", "nobody/x", "Hi"], "no provider 'nobody'"),
        (["--base-url", "http://127.0.0.1:1", "Hi"], "-m MODEL"),
        (["-m", "x", "--base-url", "ftp://x", "Hi"], "http"),
        ([""], "prompt must not be empty"),
        ([], "prompt must not be empty"),
    ],
)
def test_wrong_configuration_is_one_line_and_status_2(words: list[str], message: str) -> None:
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert message in err.splitlines()[-1]


@pytest.mark.parametrize("words", [["--mode", "fast"], ["a", "b\x1b[31m"], ["--api-key", KEY, "a"]])
def test_wrong_usage_is_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    err = capsys.readouterr().err
    assert err.startswith("usage: streamkit ") and "\x1b" not in err


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--version"], ["--help"], ["doctor", "--help"]):
        with pytest.raises(SystemExit, match="0"):
            main(words)
    shown = capsys.readouterr().out
    assert f"streamkit {streamkit.__version__}\n" in shown
    assert "-- doctor" in shown and "141" in shown and "key" not in shown.partition("commands")[0]


# What comes out.


def test_text_is_shown_while_the_answer_is_still_being_written(
    serve: Callable[..., LocalProvider],
) -> None:
    server = serve(Text("one"), Gate(), Text(" two"))
    with started("Hi", *at(server)) as process:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 100) == b"one"
        server.release()
        assert process.stdout.read() == b" two"
        assert process.wait(10) == 0


def test_a_pipe_gets_the_text_unchanged(serve: Callable[..., LocalProvider]) -> None:
    server = serve(Text(NASTY, size=1))
    for extra in ({}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}):
        with started("Hi", *at(server), env=environment(**extra)) as process:
            assert process.communicate(timeout=30) == (NASTY.encode(), b"")


def test_a_terminal_gets_escapes_and_a_last_newline(serve: Callable[..., LocalProvider]) -> None:
    server = serve(Text(NASTY, size=1))
    status, shown = in_terminal("Hi", *at(server))
    assert (status, shown) == (0, printable(NASTY) + "\n")


def in_terminal(*words: str) -> tuple[int, str]:
    """The command with a terminal as stdout and stderr; what it showed."""
    tty = pytest.importorskip("tty")
    outside, inside = os.openpty()
    tty.setraw(inside)
    with started(*words, stdout=inside, stderr=inside) as process:
        os.close(inside)
        shown = b""
        try:
            while data := os.read(outside, 4096):
                shown += data
        except OSError:
            pass  # EIO: the last writer has closed
        os.close(outside)
        return process.wait(10), shown.decode()


def test_json_is_one_object_per_line_and_the_result_last(
    serve: Callable[..., LocalProvider],
) -> None:
    server = serve(Text(NASTY, size=3), Tool("add", {"a": 1}))
    status, out, err = run("Hi", *at(server), "--json")
    assert (status, err.count("\n")) == (0, 1)  # that it ended with tool calls
    assert out.isascii() and "\x1b" not in out
    *chunks, result = map(json.loads, out.splitlines())
    assert "".join(c["content"] for c in chunks if c["kind"] == "text") == NASTY
    assert [c["index"] for c in chunks] == list(range(len(chunks)))
    assert [c["done"] for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert {"kind", "content", "finish_reason", "metadata", "timestamp"} <= chunks[0].keys()
    assert (result["kind"], result["text"], result["error"]) == ("result", NASTY, None)
    assert result["outcome"] == "tool_calls"
    assert result["tool_calls"][0]["arguments"] == '{"a": 1}'
    assert result["usage"]["output_tokens"] > 0
    assert result["metrics"]["chunks_received"] == len(chunks) - 1


def test_stats_are_two_lines_on_stderr(serve: Callable[..., LocalProvider]) -> None:
    status, out, err = run("Hi", *at(serve(Text("one two three"))), "--stats")
    assert (status, out) == (0, "one two three")
    first, second = err.splitlines()
    assert first.startswith("streamkit: completed (finish reason 'stop') in ")
    assert "first content after" in first and "chunks" in first and "bytes" in first
    assert second.startswith("streamkit: tokens: ") and "3 output" in second


@pytest.mark.parametrize(
    ("script", "note"),
    [
        ([Text("half an"), Finish("length")], "length (finish reason 'length')"),
        ([Refusal(f"I will not. {NASTY}")], "I will not. " + printable(NASTY).strip()),
    ],
)
def test_a_quiet_end_that_is_no_complete_answer_is_noted(
    script: list[Any], note: str, serve: Callable[..., LocalProvider]
) -> None:
    status, _, err = run("Hi", *at(serve(*script)))
    assert status == 0
    assert err.count("\n") == 1 and note in err


# When it goes wrong.


def test_a_failure_keeps_the_text_and_explains_itself_in_one_harmless_line(
    serve: Callable[..., LocalProvider],
) -> None:
    server = serve(Text("half an"), Error(f"all\nbusy {NASTY}"))
    status, out, err = run("Hi", *at(server))
    assert (status, out) == (1, "half an")
    assert err.startswith("streamkit: ") and err.count("\n") == 1
    assert "Overloaded" in err and "busy" in err and r"\x1b]52" in err
    assert "\x1b" not in err and "\x9b" not in err


def test_a_failure_begins_its_line_on_a_terminal(serve: Callable[..., LocalProvider]) -> None:
    status, shown = in_terminal("Hi", *at(serve(Text("half an"), Cut())))
    assert status == 1
    assert shown.startswith("half an\nstreamkit: TruncatedStream: ")


def test_a_refused_key_is_explained_with_the_request_id(
    serve: Callable[..., LocalProvider],
) -> None:
    server = serve(Status(401, message="Incorrect API key provided"))
    status, out, err = run("Hi", *at(server))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "AuthenticationError" in err and "Incorrect API key" in err and "req_local1" in err


def test_json_says_what_failed(serve: Callable[..., LocalProvider]) -> None:
    status, out, err = run("Hi", *at(serve(Text("half an"), Cut())), "--json")
    result = json.loads(out.splitlines()[-1])
    assert (status, result["kind"], result["text"]) == (1, "result", "half an")
    assert result["outcome"] == "truncated"
    assert result["error"]["type"] == "TruncatedStream" and result["error"]["message"] in err


def test_no_option_takes_a_key_and_no_command_line_shows_one(
    serve: Callable[..., LocalProvider],
) -> None:
    words = {word for action in _parser()._actions for word in action.option_strings}
    assert "--base-url" in words
    assert not [w for w in words if any(x in w for x in ("key", "token", "secret", "header"))]
    server = serve(Text("one"), Gate(), Text(" two"))
    with started("Hi", *at(server), env=environment(OPENAI_API_KEY=KEY)) as process:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 100) == b"one"
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        names = [p.read_text() for p in Path(f"/proc/{process.pid}/task").glob("*/comm")]
        server.release()
        process.communicate(timeout=10)
    assert b"streamkit" in shown and KEY.encode() not in shown
    assert KEY not in "".join(names)


def test_plain_http_to_another_machine_needs_the_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["Hi", "-m", "openai/m", "--base-url", "http://gpu.invalid/v1"]
    status, _, err = run(*words, OPENAI_API_KEY=KEY)
    assert status == 2 and "must begin with https://" in err
    status, _, err = run(*words, "--allow-http", OPENAI_API_KEY=KEY)
    assert status == 1 and "cannot look up gpu.invalid" in err
    assert KEY not in err


def test_doctor_does_not_send_anything_in_the_clear_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., LocalProvider]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        url = f"http://me:{KEY}@127.0.0.1:{proxy.getsockname()[1]}"
        _, told = examined(monkeypatch, HTTP_PROXY=url, OPENAI_API_KEY=KEY)
        with pytest.raises(BlockingIOError):
            proxy.accept()
    assert "through the proxy in the clear" in told["ollama"]
    assert told["proxies"] == f"http=http://***@127.0.0.1:{url.rpartition(':')[2]}"
    assert KEY not in str(told)


# Signals and pipes.


@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
def test_ctrl_c_closes_the_connection_and_is_status_130(
    mode: str, serve: Callable[..., LocalProvider]
) -> None:
    server = serve(Text("one"), Gate(), Text(" two"))
    with started("Hi", *at(server), "--mode", mode, "--stats") as process:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 100) == b"one"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in err and err.startswith(b"streamkit: cancelled")
    assert server.wait_disconnect() is not None


def test_ctrl_c_before_the_answer_is_status_130(serve: Callable[..., LocalProvider]) -> None:
    server = serve(BeforeHeaders([Gate()]), Text("one"))
    with started("Hi", *at(server)) as process:
        server.wait_gate(timeout=30)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10) == (b"", b"")
    assert process.returncode == 130
    assert server.wait_disconnect() is not None


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_reader_that_goes_ends_it_quietly_with_status_141(
    words: list[str], serve: Callable[..., LocalProvider]
) -> None:
    server = serve(Text("one"), Gate(), Repeat([Text(" and more", every=0.01)]))
    with started("Hi", *at(server), *words) as process:
        assert process.stdout is not None and process.stderr is not None
        assert os.read(process.stdout.fileno(), 10000)
        process.stdout.close()
        server.release()
        assert process.stderr.read() == b""
        assert process.wait(10) == 141
    assert server.wait_disconnect() is not None


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a disk that is always full")
def test_a_full_disk_is_one_line_and_status_1(serve: Callable[..., LocalProvider]) -> None:
    with open("/dev/full", "wb") as full, started("Hi", *at(serve()), stdout=full) as process:
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (1, b"streamkit: No space left on device\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-"])
def test_a_closed_standard_stream_is_no_problem(
    closed: str, serve: Callable[..., LocalProvider]
) -> None:
    words = shlex.join([*COMMAND, *at(serve(Text("Hello"))), "--stats", "Hi"])
    done = subprocess.run(
        ["sh", "-c", f"{words} {closed}"],
        env=environment(),
        capture_output=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout == (b"" if closed == ">&-" else b"Hello")
    assert (done.stderr == b"") == (closed == "2>&-") and b"Traceback" not in done.stderr


# The doctor.


def examined(monkeypatch: pytest.MonkeyPatch, **variables: str) -> tuple[int, dict[str, str]]:
    for name, value in {"OLLAMA_HOST": "127.0.0.1:1", **variables}.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    status = doctor.examine(Screen(stream))
    lines = stream.getvalue().splitlines()
    return status, {line[:11].strip(): line[11:] for line in lines}


def test_doctor_tells_versions_and_tests_itself() -> None:
    with started("doctor", env=environment(OLLAMA_HOST="127.0.0.1:1")) as process:
        out, err = (part.decode() for part in process.communicate(timeout=30))
    assert (process.returncode, err) == (0, "")
    assert f"streamkit  {streamkit.__version__}\n" in out
    assert "requests   2." in out and "urllib3" in out and "OpenSSL" in out
    assert re.search(r"^not set up openai, .*anthropic", out, re.M)
    assert "ollama     http://127.0.0.1:1 is not reachable: " in out
    assert "self test  passed" in out


def test_doctor_names_keys_and_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = f"http://user:{KEY}@p/@proxy.example:3128"
    monkeypatch.setattr(doctor, "getproxies", lambda: {"https": proxy, "no": "*"})
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    status, told = examined(
        monkeypatch, OPENAI_API_KEY=KEY, OPENAI_BASE_URL="http://127.0.0.1:1/v1"
    )
    assert status == 0
    assert told["keys"] == "OPENAI_API_KEY"
    assert told["proxies"] == "https=http://***@proxy.example:3128, no=*"
    assert "SSL_CERT_FILE=/no/such/file (does not exist)" in told["CA vars"]
    assert KEY not in str(told)


def test_doctor_asks_a_provider_that_is_set_up_without_sending_the_key(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., LocalProvider]
) -> None:
    server = serve(Text("never asked for"))
    _, told = examined(monkeypatch, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.base_url())
    assert told["openai"].startswith(f"{server.base_url()} is reachable (HTTP ")
    (request,) = server.requests
    assert request.method == "HEAD" and request.body == b""
    assert KEY not in str(dict(request.headers))


def test_doctor_does_not_hang_on_a_silent_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = dict.fromkeys(("connect", "first", "content", "wire", "total"), 0.2)
    monkeypatch.setattr(doctor, "TIMEOUTS", streamkit.Timeouts(**limits))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        status, told = examined(monkeypatch, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=url)
    assert status == 0
    assert told["openai"].startswith(f"{url} is not reachable: ")


def test_doctor_goes_on_when_a_lookup_cannot_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PATIENCE", 0.1)
    monkeypatch.setattr(doctor, "_ask", lambda found, name, url: None)
    monkeypatch.setattr(doctor, "_self_test", lambda: (True, "passed"))
    status, told = examined(monkeypatch)
    assert status == 0
    assert told["ollama"] == "http://127.0.0.1:1 gave no answer within 0.1 s"


def test_doctor_fails_only_when_the_library_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("no loopback here")

    monkeypatch.setattr("streamkit.testing.provider.LocalProvider.__init__", broken)
    status, told = examined(monkeypatch)
    assert status == 1
    assert told["self test"] == "failed: no loopback here"


def test_doctor_takes_no_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["doctor", "who"])
    assert "streamkit doctor" in capsys.readouterr().err


# Recording, and playing what was recorded.


def test_what_was_recorded_is_replayed_on_stdout(
    serve: Callable[..., LocalProvider], tmp_path: Path
) -> None:
    tape = str(tmp_path / "tape")
    server = serve(Text("Hello there"))
    assert run(*at(server), "--record", tape, "Hi")[:2] == (0, "Hello there")
    asked = len(server.requests)
    assert run("replay", tape) == (0, "Hello there", "")
    status, out, err = run("replay", tape, "--speed", "0", "--mode", "direct", "--json", "--stats")
    assert status == 0 and json.loads(out.splitlines()[-1])["text"] == "Hello there"
    assert "completed" in err and "tokens" in err
    assert len(server.requests) == asked == 1


def test_a_replay_fails_as_the_answer_did(
    serve: Callable[..., LocalProvider], tmp_path: Path
) -> None:
    tape = str(tmp_path / "tape")
    live = run(*at(serve(Text("Hello"), Error("broke"))), "--record", tape, "Hi")
    assert live[:2] == (1, "Hello")
    assert run("replay", tape, "--speed", "0") == live


def test_a_replay_shows_a_terminal_what_it_would_obey(
    serve: Callable[..., LocalProvider], tmp_path: Path
) -> None:
    tape = str(tmp_path / "tape")
    live = run(*at(serve(Text(NASTY), Error(NASTY))), "--record", tape, "Hi")
    assert "\x1b" not in live[2]
    assert run("replay", tape, "--speed", "0") == live


@pytest.mark.parametrize("words", [["nowhere"], ["nowhere", "--speed", "-1"]])
def test_a_replay_of_no_recording_is_wrong_usage(words: list[str], tmp_path: Path) -> None:
    status, out, err = run("replay", str(tmp_path / words[0]), *words[1:])
    assert (status, out) == (2, "")
    assert err.startswith("streamkit: ConfigurationError: ") and err.count("\n") == 1


def test_a_file_that_is_there_is_not_recorded_over(
    serve: Callable[..., LocalProvider], tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("mine")
    server = serve(Text("Hello"))
    status, out, err = run(*at(server), "--record", str(tmp_path / "mine"), "Hi")
    assert (status, out) == (2, "") and "must name a new file" in err
    assert server.requests == [] and (tmp_path / "mine").read_text() == "mine"
