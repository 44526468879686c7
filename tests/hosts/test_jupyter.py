"""A Jupyter kernel: cells print as they stream, Stop stops at once, and a cell can run again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streamkit.testing import LocalProvider

pytest.importorskip("ipykernel")
pytest.importorskip("jupyter_client")

MODES = ["direct", "buffered", "managed"]

SCRIPT = """
import hosted_notebook

with hosted_notebook.Notebook() as notebook:
    notebook.run("from hosted_app import ask")
    for _ in range(2):
        print(notebook.run("for text in ask(): print(text, end='', flush=True)"))
    notebook.run("def show(text): print(text, end='-')")
    print(notebook.run("ask().on_text(show).on_end(lambda r: print(r.outcome)).result()"))
    print(notebook.run("ask().on_text(show).start().wait(5) and None"))
    for mode in {modes}:
        cell = f"s = ask({{mode!r}}, 'hang')\\nfor text in s: print(text, flush=True)"
        said, seconds = notebook.run_until_interrupted(cell)
        print(said.split(), seconds < {limit})
        print(notebook.run("print(s.outcome, s.result().text)"))
        print(notebook.run(f"print(ask({{mode!r}}).result().text)"))
"""


def test_cells_print_stop_and_run_again(
    host: Callable[..., Any], provider: LocalProvider, time_scale: float
) -> None:
    running = host("-c", SCRIPT.format(modes=MODES, limit=2 * time_scale))
    stopped = [provider.wait_request(n, timeout=30 * time_scale) for n in (5, 7, 9)]
    for request in stopped:
        assert provider.wait_disconnect(request=request) is not None
    assert running.wait() == 0
    said = [line for line in running.log.splitlines() if line and "WARNING" not in line]
    again = ["['one', 'KeyboardInterrupt'] True", "cancelled one", "one two"]
    assert said == ["one two", "one two", "one- -two-completed", "one- -two-", *again * 3]
