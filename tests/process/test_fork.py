"""A fork in the middle of streams: the parent goes on untouched, the child starts clean."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from streamkit import process
from streamkit.testing import Gate, LocalProvider, Text

FORKING = """
import warnings
MODE = {mode!r}
streams = [start(MODE) for _ in range(20)]
loops = [iter(s) for s in streams]
first = [next(loop) for loop in loops]
code = 0
for round in range(5):
    child = os.fork()
    if child == 0:
        try:
            for s, loop in zip(streams, loops):
                for use in (s.result, s.wait, s.get, lambda: next(loop), lambda: next(iter(s))):
                    try:
                        use()
                        os._exit(11)
                    except streamkit.ConcurrencyError as error:
                        assert "fork" in str(error), error
                if round % 2:
                    s.close()
            if round >= 3:
                del s, loop
                streams.clear(); loops.clear()
            mine = start(MODE, extra_body={{"whole": True}}).result()
            assert mine.text == "new in the child", mine
            streamkit.close()
        except BaseException as error:
            import traceback; traceback.print_exc()
            os._exit(12)
        if round == 4:
            sys.exit(0)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = code or os.waitstatus_to_exitcode(status)
ready()
texts = [a + "".join(loop) for a, loop in zip(first, loops)]
assert texts == ["one two three"] * 20, texts
print("fine", code)
"""


@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
def test_the_parents_streams_survive_their_children(mode: str, child: Callable[..., Any]) -> None:
    def answer(request: Any) -> Any:
        if request.json.get("whole"):
            return [Text("new in the child")]
        return [Text("one"), Gate(), Text(" two three")]

    with LocalProvider(answer) as provider:
        running = child(FORKING.format(mode=mode), provider.base_url("openai"))
        running.wait_ready()
        provider.wait_gate(20, timeout=10)
        provider.release(20)
        ended = running.end()
    assert (ended.code, ended.out, ended.err) == (0, "fine 0\n", "")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_workers_stream(
    method: str, child: Callable[..., Any], tmp_path: Any
) -> None:
    script = f"""
import multiprocessing
from streamkit_worker_under_test import work
if __name__ == "__main__":
    assert start().result().text == "one two"
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        print(pool.map(work, [URL] * 4))
"""
    (tmp_path / "streamkit_worker_under_test.py").write_text(
        "import streamkit\n"
        "def work(url):\n"
        "    stream = streamkit.stream('openai/x', 'hi', base_url=url, api_key='sk-test')\n"
        "    return stream.result().text\n"
    )
    script = f"sys.path.insert(0, {str(tmp_path)!r})\n" + script
    with LocalProvider([Text("one two")]) as provider:
        ended = child(script, provider.base_url("openai")).end()
    assert (ended.code, ended.out) == (0, f"{['one two'] * 4}\n"), ended.err


def test_a_fork_that_no_hook_is_told_of_makes_a_new_generation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """uWSGI forks in C; nothing of ours runs in its workers before they serve."""

    class Running:
        stopped = False

        def stop(self) -> None:
            self.stopped = True

        def join(self, timeout: float) -> None:
            raise AssertionError("the thread of the parent is not waited for")

    monkeypatch.setattr(process, "_running", {})
    run, parent = Running(), process.generation()
    process.remember(run)
    monkeypatch.setattr(os, "getpid", lambda: 4_000_000)
    assert process.generation() != parent
    process._at_exit()
    assert not run.stopped
