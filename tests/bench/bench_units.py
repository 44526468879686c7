"""
Grouping text into units: speed, and whether anything grows with the length of what is held.

The text is an answer in English with the usual marks, in reads of 64 characters, which is what a
busy stream gives; per delta of 4 characters the price is shown in microseconds. Other scripts are
measured by one text in many of them, in bytes of UTF-8.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

from harness import Row, interleave, ratio, spread

from streamkit.text import SEGMENTERS, new_buffer

MB = 1_000_000

ANSWER = """\
Sorting a list in place is usually the right choice when the original order is no longer needed, \
because it saves a copy. According to Dr. Knuth (see Vol. 3), merge sort needs about 1.44 times \
fewer comparisons than quicksort on average; the difference rarely matters in practice.

1. Call `sort()` if you own the list, e.g. one that you have just built.
2. Call `sorted()` if somebody else may still hold a reference to it. "What if both are slow?" \
you may ask. Measure first: https://docs.example.com/howto/sorting.html has a worked example.

"""


SCRIPTS = (
    "你好，世界。今天天气很好！我们去公园吧？\n안녕하세요 세계. 오늘 날씨가 좋습니다! 갈까요?\n"  # noqa: RUF001
    "नमस्ते दुनिया। आप कैसे हैं? मैं ठीक हूँ।\nمرحبا بالعالم. كيف حالك اليوم؟ أنا بخير.\n"  # noqa: RUF001
    "Привет, мир. Как дела сегодня? Хорошо!\nTiếng Việt là ngôn ngữ đẹp. Bạn khỏe không?\n"
    "Great \U0001f389! Done \u2705, thanks \U0001f44d\U0001f3fd.\n"
)


def fed(unit: str, text: str, piece: int) -> float:
    """Seconds of CPU for a text in pieces of that many characters."""
    buffer = new_buffer(unit)
    pieces = [text[at : at + piece] for at in range(0, len(text), piece)]
    start = process_time()
    size = sum(len(whole) for part in pieces for whole in buffer.feed(part))
    size += len(buffer.flush())
    took = process_time() - start
    assert size == len(text), f"{len(text)} characters were fed, {size} came"
    return took


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    text = ANSWER * (10 * MB // len(ANSWER))
    tenth, tiny = text[:MB], text[: MB // 10]
    endless = "x" * MB
    scripts = SCRIPTS * (MB // len(SCRIPTS.encode()))
    rows = []
    for unit in SEGMENTERS:
        runs: dict[str, Callable[[], float]] = {
            "1 MB": lambda unit=unit: fed(unit, tenth, 64),
            "1 MB, many scripts": lambda unit=unit: fed(unit, scripts, 64),
            "100 KB by 4": lambda unit=unit: fed(unit, tiny, 4),
            "held, 1 MB by 1": lambda unit=unit: fed(unit, endless, 1),
            "held, 250 KB by 1": lambda unit=unit: fed(unit, endless[: MB // 4], 1),
        }
        if not quick:
            runs["10 MB"] = lambda unit=unit: fed(unit, text, 64)
        samples = interleave(runs, 3)
        rows.append(
            Row(
                name=f"units/{unit}",
                what=f"text into units: {unit}, in reads of 64 characters",
                value=1 / spread(samples["1 MB"], 9)["p50"],
                unit="MB/s",
                least=5.0,
                detail={key: spread(values, 4) for key, values in samples.items()},
            )
        )
        rows.append(
            Row(
                name=f"units/{unit}/scripts",
                what=f"the same, of many scripts: {unit}",
                value=1 / spread(samples["1 MB, many scripts"], 9)["p50"],
                unit="MB/s",
                least=5.0,
            )
        )
        rows.append(
            Row(
                name=f"units/{unit}/delta",
                what=f"CPU per delta of 4 characters, {unit}",
                value=spread(samples["100 KB by 4"], 9)["p50"] / (MB / 40) * 1e6,
                unit="us",
            )
        )
        rows.append(
            Row(
                name=f"units/{unit}/held",
                what=f"CPU of 1 MB without a blank over that of 250 KB, by one, {unit}",
                value=ratio(samples, "held, 1 MB by 1", "held, 250 KB by 1"),
                unit="x",
                most=6.0,
            )
        )
        if not quick:
            rows.append(
                Row(
                    name=f"units/{unit}/length",
                    what=f"CPU of 10 MB over that of 1 MB, {unit}",
                    value=ratio(samples, "10 MB", "1 MB"),
                    unit="x",
                    most=13.0,
                )
            )
    return rows
