"""Who waits for a store waits for another thread, never for itself."""

from __future__ import annotations

import threading

import pytest

from streamkit.errors import StoreUnavailable
from streamkit.store.turn import Turn


def test_a_turn_within_a_turn_is_refused_and_the_outer_one_goes_on() -> None:
    turn = Turn()
    for _ in range(2):
        with turn:
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match="interrupts"), turn:
                    raise AssertionError("it was let in")


def test_another_thread_waits_for_its_turn() -> None:
    turn, order = Turn(), []
    began = threading.Event()

    def wait() -> None:
        began.set()
        with turn:
            order.append("second")

    with turn:
        thread = threading.Thread(target=wait)
        thread.start()
        assert began.wait(5)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_an_exception_gives_the_turn_back() -> None:
    turn = Turn()
    with pytest.raises(KeyError), turn:
        raise KeyError
    with turn:
        pass
