"""Progress on the bars of tqdm and rich; their parts that are used stand here, written by us."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.observe import Progress, rich_progress, tqdm_progress


class Bar:
    """What tqdm does with what we do."""

    def __init__(self) -> None:
        self.n = 0
        self.total: int | None = None
        self.drawn: tuple[int, int | None] | None = None

    def update(self, n: int) -> None:
        self.n += n

    def refresh(self) -> None:
        self.drawn = self.n, self.total


class Bars:
    """What rich does with what we do."""

    def __init__(self) -> None:
        self.tasks: dict[Any, dict[str, Any]] = {7: {"total": None}}

    def update(self, task_id: Any, *, completed: float, total: float | None = None) -> None:
        self.tasks[task_id]["completed"] = completed
        if total is not None:
            self.tasks[task_id]["total"] = total


def at(tokens: int, estimated: int | None = None, *, done: bool = False) -> Progress:
    return Progress(tokens_received=tokens, elapsed=1.0, estimated_tokens=estimated, done=done)


def test_a_tqdm_bar_follows_the_tokens() -> None:
    bar = Bar()
    show = tqdm_progress(bar)
    show(at(3))
    show(at(8))
    assert (bar.n, bar.total) == (8, None)
    show(at(9, 20))
    assert (bar.n, bar.total) == (9, 20)


def test_a_tqdm_bar_is_full_and_drawn_in_the_end() -> None:
    bar = Bar()
    show = tqdm_progress(bar)
    show(at(9, 20))
    assert bar.drawn is None
    show(at(12, 20, done=True))
    assert bar.drawn == (12, 12)


def test_a_rich_task_follows_the_tokens() -> None:
    bars = Bars()
    show = rich_progress(bars, 7)
    show(at(3))
    assert bars.tasks[7] == {"completed": 3, "total": None}
    show(at(9, 20))
    assert bars.tasks[7] == {"completed": 9, "total": 20}
    show(at(12, 20, done=True))
    assert bars.tasks[7] == {"completed": 12, "total": 12}


def test_what_is_no_bar_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="bar must be one of tqdm, got None"):
        tqdm_progress(None)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="bar must be one of tqdm"):
        tqdm_progress(Bars())  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"must be a rich.progress.Progress, got 5"):
        rich_progress(5, 0)  # type: ignore[arg-type]
