"""A process dies in the middle of an answer; another finds it in the store and carries it on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streamkit import Stream, follow, open_store
from streamkit.testing import Hang, LocalProvider, Text

KEY = "sk-marker-0123456789abcdef"
#: Any text may be an id.
ID = "user/7: first draft é"
FIRST, SECOND = "The rain in Spain falls äöü 😀 mainly ", "on the plain."

#: Asks, and waits for what never comes. The lease is short, so that the test is.
VICTIM = """
import sys
from streamkit import stream
from streamkit.pipeline import saver
how, url, base_url, id = sys.argv[1:]
saver.LEASE = 0.5
where = {"provider": "openai", "base_url": base_url}
if how == "publish":
    stream("m", "Hi", **where).publish(url, id, lease=0.5).wait()
else:
    stream("m", "Hi", recovery={"store": url, "id": id}, **where).result()
"""

#: Knows the store and the key, and nothing else of who asked.
RESCUER = """
import json, sys, time
from streamkit import StreamRecovery
url, base_url, id = sys.argv[1:]
recovery = StreamRecovery(url)
until = time.monotonic() + 10
while not (found := recovery.recoverable()):
    assert time.monotonic() < until
    time.sleep(0.02)
before = recovery.partial(id)
rest = recovery.resume(found[0].id, base_url=base_url)
pieces = list(rest)
result = rest.result()
print(json.dumps({
    "ids": [info.id for info in found], "before": [before.text, before.outcome],
    "rest": "".join(pieces), "text": result.text, "outcome": result.outcome,
    "seams": [[seam.at, seam.how] for seam in result.recoveries],
    "left": len(recovery.recoverable()),
}))
"""


def start(code: str, *args: str) -> subprocess.Popen[str]:
    path = os.pathsep.join(filter(None, sys.path))
    env = {**os.environ, "PYTHONPATH": path, "OPENAI_API_KEY": KEY}
    return subprocess.Popen(
        [sys.executable, "-c", code, *args], stdout=subprocess.PIPE, text=True, env=env
    )


@pytest.mark.parametrize("kept_by", ["recovery", "publish"])
def test_what_a_killed_process_had_is_read_and_carried_on_by_another(
    tmp_path: Path, kept_by: str
) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    with LocalProvider(scripts=[[Text(FIRST), Hang()], [Text(SECOND)]]) as provider:
        base_url = provider.base_url("openai")
        with start(VICTIM, kept_by, url, base_url, ID) as victim:
            seen = ""
            for text in follow_once_there(url, victim):
                seen += text
                if seen == FIRST:
                    victim.send_signal(signal.SIGKILL)
                    break
            assert victim.wait(10) == -signal.SIGKILL
        with start(RESCUER, url, base_url, ID) as rescuer:
            said, _ = rescuer.communicate(timeout=60)
        asked = provider.requests[1].json["messages"]
    assert json.loads(said) == {
        "ids": [ID], "before": [FIRST, None], "rest": SECOND, "text": FIRST + SECOND,
        "outcome": "completed", "seams": [[len(FIRST), "appended"]], "left": 0,
    }  # fmt: skip
    assert asked[0] == {"role": "user", "content": "Hi"} and FIRST.strip() in str(asked)
    assert "".join(follow(url, ID)) == FIRST + SECOND, "one log, whoever wrote it"
    open_store(url).close()
    assert [f.name for f in tmp_path.iterdir() if KEY.encode() in f.read_bytes()] == []


def follow_once_there(url: str, victim: subprocess.Popen[str]) -> Stream:
    """A follower of the victim's stream, as soon as there is one."""
    store = open_store(url)
    while not store.streams():
        assert victim.poll() is None
    return follow(url, ID)
