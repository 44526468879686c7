"""What the library logs: nothing unless asked, and then neither keys nor prompts nor answers."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import Any

import pytest

from streamkit import Client, StreamkitError
from streamkit.testing import FAULTS, Error, Fin, LocalProvider, Raw, Status, Text

#: What no log may hold: the key, the prompt, the answer, what an HTTP error said.
KEY, PROMPT, ANSWER, SAID = "canary-key-0123", "canary-prompt", "canary-answer", "canary-said"

HANDLERS = """
import logging
import streamkit
logger = logging.getLogger("streamkit")
print([type(h).__name__ for h in logger.handlers], logging.getLevelName(logger.level))
print([type(h).__name__ for h in logging.getLogger().handlers])
"""

#: A good stream, one whose callback raises, one cut short, and one that is tried again.
USE = f"""
import sys
import streamkit

def ask(**keywords):
    stream = streamkit.stream(
        "openai/x", {PROMPT!r}, base_url=sys.argv[1], api_key={KEY!r}, **keywords)
    try:
        print(stream.result().outcome)
    except streamkit.StreamkitError as error:
        print(error.outcome)

def refuse(result):
    raise LookupError("mine")

ask()
ask(on_end=refuse)
ask(retry=None)
ask(retry=streamkit.RetryConfig(max_retries=1, initial=0.001, cap=0.002))
"""
SCRIPTS: list[Any] = [
    [Text(ANSWER)],
    [Text(ANSWER)],
    [Text(ANSWER), Fin()],
    [Status(503, message=SAID)],
    [Text(ANSWER)],
]


def child(script: str, level: str | None, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a script with STREAMKIT_LOG set so, or not set."""
    env = {k: v for k, v in os.environ.items() if k != "STREAMKIT_LOG"}
    if level is not None:
        env["STREAMKIT_LOG"] = level
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *args],
        env=env,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )


def use(level: str | None) -> subprocess.CompletedProcess[str]:
    with LocalProvider(scripts=SCRIPTS) as provider:
        done = child(USE, level, provider.base_url("openai"))
        assert len(provider.requests) == len(SCRIPTS)
    assert done.stdout.split() == ["completed", "completed", "transport_error", "completed"]
    return done


@pytest.mark.parametrize("level", [None, "", " ", "nonsense", "notset", "0", "level 5"])
def test_an_import_alone_adds_a_handler_that_does_nothing(level: str | None) -> None:
    done = child(HANDLERS, level)
    assert done.stdout == "['NullHandler'] NOTSET\n[]\n"
    assert done.stderr == ""


@pytest.mark.parametrize("level", ["debug", "INFO", " Warning ", "error"])
def test_a_level_in_the_environment_adds_a_handler_for_stderr(level: str) -> None:
    done = child(HANDLERS, level)
    assert done.stdout == f"['NullHandler', 'StreamHandler'] {level.strip().upper()}\n[]\n"
    assert done.stderr == ""


@pytest.mark.parametrize("level", [None, "nonsense"])
def test_nothing_is_printed_unless_asked_for(level: str | None) -> None:
    assert use(level).stderr == ""


def test_debug_tells_of_every_stream_and_of_no_content() -> None:
    told = use("debug").stderr
    lines = [line for line in told.splitlines() if " streamkit.pipeline " in line]
    events = [line.split(" streamkit.pipeline ")[1].split(" id=")[0] for line in lines]
    begins, ends = "DEBUG stream begins", "DEBUG stream ended"
    assert [event.split("delay=")[0] for event in events] == [
        *(begins, ends),
        *(begins, ends, "ERROR callback failed name=on_end"),
        *(begins, "DEBUG attempt failed number=1 error=StreamInterrupted ", ends),
        *(begins, "DEBUG attempt failed number=1 error=Overloaded ", ends),
    ]
    assert "LookupError: mine" in told
    assert "provider=openai model='x'" in told
    assert "canary" not in told


FORGED = "canary\n2026-01-01 00:00:00 streamkit ERROR forged\r\x1b[31mcanary\x85\u2028canary"


@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
@pytest.mark.parametrize(
    "script",
    [
        FAULTS["sse-inject"],
        FAULTS["ansi"],
        [Status(400, FORGED)],
        [Status(500, {"error": {"message": FORGED, "type": FORGED, "code": FORGED}})],
        [Status(429, headers={"x-request-id": "canary-\x9b31m"})],
        [Text("one"), Error(FORGED, type=FORGED)],
        [Text("one"), Raw(f"event: {FORGED}\n\ndata: {{{FORGED}\n\n".encode())],
    ],
    ids=lambda script: type(script[0]).__name__,
)
def test_one_record_is_one_line_and_tells_no_content(
    caplog: pytest.LogCaptureFixture, script: Any, mode: Any
) -> None:
    model = "openai/x\u2028[31m"
    with caplog.at_level(logging.DEBUG), LocalProvider(script) as provider, Client() as client:
        stream = client.stream(
            model, PROMPT, api_key=KEY, base_url=provider.base_url(), mode=mode, retry=None
        )
        try:
            stream.result()
        except StreamkitError:
            pass
    ours = [record for record in caplog.records if record.name.startswith("streamkit")]
    assert len(ours) >= 2
    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert record.exc_info is None
        assert "canary" not in record.getMessage() and "forged" not in record.getMessage()


def test_the_error_level_prints_errors_alone() -> None:
    told = use("error").stderr
    assert told.count(" streamkit.pipeline ERROR callback failed name=on_end") == 1
    assert "DEBUG" not in told
    assert "canary" not in told
