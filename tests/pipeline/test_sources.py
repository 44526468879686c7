"""Which citations of an answer that broke are listed."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

from streamkit.pipeline.sources import Sources


def listed(*sources: Any, broke_before: int | None) -> list[Any]:
    made = Sources()
    for index, source in enumerate(sources):
        if index == broke_before:
            made.break_off()
        made.add(source)
    if broke_before == len(sources):
        made.break_off()
    return made.listed


def test_what_an_unbroken_answer_repeats_is_listed_as_it_is() -> None:
    assert listed({"n": 1}, {"n": 1}, broke_before=None) == [{"n": 1}, {"n": 1}]


@pytest.mark.parametrize("broke_before", [0, 1, 2, 3])
def test_once_it_broke_each_is_listed_once_whenever_that_is_heard_of(broke_before: int) -> None:
    assert listed({"n": 1}, {"n": 1}, {"n": 2}, broke_before=broke_before) == [{"n": 1}, {"n": 2}]


def test_an_answer_that_begins_anew_lists_what_it_says() -> None:
    sources = Sources()
    sources.add(1)
    sources.break_off()
    sources.clear()
    for source in (1, 1):
        sources.add(source)
    assert sources.listed == [1, 1]


def test_what_cannot_be_compared_is_kept() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise ValueError

    odd = Odd()
    assert listed(odd, odd, broke_before=0) == [odd, odd]


def test_many_sources_cost_no_more_for_each() -> None:
    def cost(count: int) -> float:
        began = process_time()
        listed(*({"url": f"https://example.com/{n}"} for n in range(count)), broke_before=0)
        return process_time() - began

    cost(2_000)
    assert cost(40_000) < 80 * cost(2_000) + 0.2  # 20 times as many; 400 times if it were square
