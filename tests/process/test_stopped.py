"""A process that is stopped for a while (Ctrl-Z, a frozen container) and goes on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

from streamkit.testing import Gate, LocalProvider, Text

STOPPED = """
s = start({mode!r}, retry=None, timeout={{"first": 0.5, "content": 0.5, "wire": 0.5}})
loop = iter(s)
text = next(loop)
ready()
text += "".join(loop)
print(text, s.outcome, len(s.result().attempts))
"""
MODES = ("direct", "buffered", "managed")
#: Longer than the clocks of the child, so that each would run out if it counted.
STOP = 2.0


def test_the_time_a_process_stood_still_is_no_silence_of_the_provider(
    child: Callable[..., Any],
) -> None:
    with LocalProvider([Text("one"), Gate(), Text(" two"), Text(" three")]) as provider:
        url = provider.base_url("openai")
        running = [child(STOPPED.format(mode=mode), url) for mode in MODES]
        for each in running:
            each.wait_ready()
            each.send(signal.SIGSTOP)
        provider.wait_gate(len(MODES))
        provider.release(len(MODES))  # what the provider sends meanwhile waits in the kernel
        threading.Event().wait(STOP)
        for each in running:
            each.send(signal.SIGCONT)
        for each in running:
            ended = each.end()
            assert (ended.code, ended.out, ended.err) == (0, "one two three completed 1\n", "")
