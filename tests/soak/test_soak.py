"""A few seconds of the soak, as its own process, and what it says when something is wrong."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from consumers import CONSUMERS as WAYS
from faults import FAULTS
from run import Soak, main
from scenario import CONSUMERS, scenario
from watch import Census, Noise, leaks

SOAK = Path(__file__).resolve().parent / "run.py"


def test_two_seconds_of_the_soak_break_no_rule() -> None:
    command = [sys.executable, str(SOAK), "--seconds", "2", "--seed", "5", "--streams", "12"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert "violations   0" in done.stdout


def test_a_stream_can_be_run_again_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "5", "--only", "3", "--streams", "1"]) == 0

    assert "streams      1, 1 at once" in capsys.readouterr().out


def test_an_answer_of_another_seed_is_caught() -> None:
    """Whatever the server then plays, it is not what the client has to get."""
    soak = Soak(5, at_once=8, played=6)

    assert not soak.run(0.5, only=range(8))
    assert any("again: run.py --seed 5 --only" in one for one in soak.broken)


def test_a_number_always_means_the_same_stream() -> None:
    def told(number: int) -> list[str]:
        # Steps hold functions, which are new each time; what they play is told by the rest.
        return [repr(replace(one, steps=())) for one in scenario(1, number).tries]

    assert [told(number) for number in range(200)] == [told(number) for number in range(200)]
    assert len({str(told(number)) for number in range(200)}) > 150


def test_every_fault_and_consumer_comes() -> None:
    plans = [scenario(1, number) for number in range(3000)]

    assert {fault for plan in plans for fault in plan.faults} == FAULTS.keys()
    assert {plan.consumer for plan in plans} == set(CONSUMERS) == WAYS.keys()


def test_what_is_left_at_the_end_is_caught() -> None:
    before = Census(streams=0, threads=1, fds=9, rss=40 << 20, blocks=100_000)
    middle = Census(streams=5000, threads=1, fds=9, rss=60 << 20, blocks=150_000)
    fine = Census(streams=10_000, threads=1, fds=9, rss=65 << 20, blocks=151_000)
    wrong = Census(streams=10_000, threads=2, fds=10, rss=90 << 20, blocks=250_000, alive=1)

    assert leaks([before, middle, fine]) == []
    found = " ".join(leaks([before, middle, wrong]))
    assert all(word in found for word in ("threads", "descriptors", "held", "blocks", "MB"))


def test_noise_is_heard() -> None:
    with Noise() as noise:
        import logging
        import threading
        import warnings

        warnings.warn("a warning", stacklevel=1)
        logging.getLogger("streamkit.soak").warning("a record")
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()

    assert [word.split(":")[0] for word in noise.heard] == [
        "UserWarning", "streamkit.soak", "thread",
    ]  # fmt: skip
