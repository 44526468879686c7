"""
Progress on other libraries' progress bars, by duck typing: neither tqdm nor rich is imported.

Both libraries draw at a rate of their own, so nothing needs to be throttled here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from streamkit.errors import ConfigurationError
from streamkit.observe.progress import Progress

__all__ = ["RichProgress", "TqdmBar", "rich_progress", "tqdm_progress"]


class TqdmBar(Protocol):
    """The part of a tqdm bar that is used."""

    n: Any
    total: Any

    def update(self, n: Any) -> Any:
        """Advance by ``n``."""
        ...

    def refresh(self) -> Any:
        """Draw now."""
        ...


class RichProgress(Protocol):
    """The part of a rich.progress.Progress that is used."""

    def update(self, task_id: Any, *, completed: float, total: float | None) -> Any:
        """Set how far the task has come; None leaves the total as it is."""
        ...


def tqdm_progress(bar: TqdmBar) -> Callable[[Progress], None]:
    """
    Show the Progress of a stream on a tqdm bar: ``stream(..., on_progress=tqdm_progress(bar))``.

    The bar's total is the estimate where there is one, and in the end what came: an estimate was
    only that. Closing the bar is the caller's: ``with tqdm(unit="token") as bar``.

    Raises:
        ConfigurationError: It has no ``update`` and ``refresh``.
    """
    _check("bar must be one of tqdm", bar, "update", "refresh")

    def show(progress: Progress) -> None:
        total = _total(progress)
        if total is not None:
            bar.total = total
        bar.update(progress.tokens_received - bar.n)
        if progress.done:
            bar.refresh()  # tqdm leaves out updates that follow each other fast

    return show


def rich_progress(progress: RichProgress, task: Any) -> Callable[[Progress], None]:
    """
    Show the Progress of a stream as a task of rich: ``on_progress=rich_progress(bars, task)``.

    The task's total is the estimate where there is one, and in the end what came.

    Args:
        progress: A rich.progress.Progress.
        task: What its ``add_task()`` gave; ``total=None`` there shows a pulse until an estimate or
            the end is known.

    Raises:
        ConfigurationError: The first is a thing without ``update``.
    """
    _check("progress must be a rich.progress.Progress", progress, "update")

    def show(at: Progress) -> None:
        progress.update(task, completed=at.tokens_received, total=_total(at))

    return show


def _check(rule: str, value: object, *methods: str) -> None:
    if not all(callable(getattr(value, name, None)) for name in methods):
        raise ConfigurationError(f"{rule}, got {value!r}")


def _total(progress: Progress) -> int | None:
    return progress.tokens_received if progress.done else progress.estimated_tokens
