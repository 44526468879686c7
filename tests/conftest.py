"""
What every test gets: a sealed network, a clean environment, and a check for what it leaves behind.

- No connection and no name lookup beyond loopback, unless the test is marked ``network``.
- No provider key and no proxy variable in the environment.
- A test fails if a streamkit thread or a socket that it opened is still there one second after it.
- Under ``CI=true`` a skip is a failure: what is missing there has to be installed, not passed over.

An exception in a thread or in ``__del__`` needs no guard here: pytest makes a warning of it, and
pyproject.toml makes errors of warnings.

Fixtures to use: ``run_in_thread``, ``until``, ``gone_folder``, ``recordings``, ``time_scale``.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).resolve().parent
RECORDINGS = TESTS.parent.parent / "shared" / "recordings"

CI = os.environ.get("CI") == "true"

#: Multiplies every deadline of the tests, for machines that are slow or busy.
TIME_SCALE = float(os.environ.get("STREAMKIT_TEST_TIME_SCALE", "1"))

#: What a test may leave running for this long: threads on their way out, sockets being closed.
GRACE = 1.0 * TIME_SCALE

#: A test that waits this long for a thread waits for ever.
DEADLINE = 10.0 * TIME_SCALE

SECRETS = re.compile(
    r"(?i).*_(API_KEY|API_TOKEN|AUTH_TOKEN|BASE_URL|API_BASE|ORG_ID|PROJECT_ID)"
    r"|OLLAMA_HOST|HF_TOKEN|CO_API_URL|(AWS|AZURE_OPENAI|GOOGLE)_.*|OPENAI_API_VERSION"
    r"|(all|https?|no)_proxy|STREAMKIT_.*"
)

collect_ignore = ["bench"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control starts its background jobs so, and their children would never see
    # the Ctrl-C that tests send them.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "streamkit",
    deadline=None,
    derandomize=CI,
    print_blob=True,
    # How fast the inputs are made says something about the machine, not about the code.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("streamkit")


def _load(path: Path) -> Any:
    """Import a file beside this one; the test folders are not on sys.path."""
    spec = importlib.util.spec_from_file_location(f"streamkit_tests_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# A skip is a failure under CI.


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"nothing may be skipped when CI=true: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[Any]:
    report = yield
    _forbid_skip(report)
    return report


# Before the tests, and around each of them.


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is there now stays: else each collection goes through all modules and all test items."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _seal() -> Any:
    return _load(TESTS / "sealed.py").Seal()


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if SECRETS.fullmatch(name)]:
            patch.delenv(name)
        # Else a test without AWS credentials would ask this machine's host for some.
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(autouse=True)
def _guard(request: pytest.FixtureRequest, _seal: Any) -> Iterator[None]:
    threads, sockets = set(threading.enumerate()), _open_sockets()
    _seal.closed = request.node.get_closest_marker("network") is None
    yield
    _seal.closed = True
    if left := _threads_left(threads):
        pytest.fail(f"threads still alive after the test: {', '.join(left)}", pytrace=False)
    if left := _sockets_left(sockets):
        pytest.fail(f"sockets still open after the test: {', '.join(left)}", pytrace=False)


def _threads_left(before: set[threading.Thread]) -> list[str]:
    until = time.monotonic() + GRACE
    new = [t for t in threading.enumerate() if t not in before and t.name.startswith("streamkit-")]
    for thread in new:
        thread.join(max(0.0, until - time.monotonic()))
    return [thread.name for thread in new if thread.is_alive()]


def _open_sockets() -> dict[str, str]:
    """Inode -> file descriptor of every socket of this process; empty where there is no /proc."""
    found = {}
    try:
        numbers = os.listdir("/proc/self/fd")
    except FileNotFoundError:
        return found
    for number in numbers:
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:  # closed since the listing; the listing's own descriptor is one of these
            continue
        if target.startswith("socket:"):
            found[target] = number
    return found


def _sockets_left(before: dict[str, str]) -> list[str]:
    until = time.monotonic() + GRACE
    while left := _open_sockets().keys() - before.keys():
        if time.monotonic() > until:
            now = _open_sockets()
            return [f"fd {now[name]} ({name})" for name in sorted(left) if name in now]
        # An exception that a test caught may hold a socket in a cycle. A socket that was forgotten
        # open is found here too: collecting it gives a ResourceWarning, and that fails the test.
        gc.collect()
        time.sleep(0.01)
    return []


# Fixtures.


class Task:
    """A function running in a thread of its own: what run_in_thread returns."""

    def __init__(self, function: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> None:
        self.collected = False
        self._call = function, args, kwargs
        self._value: Any = None
        self._error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="test-task", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        function, args, kwargs = self._call
        try:
            self._value = function(*args, **kwargs)
        except BaseException as error:
            self._error = error

    @property
    def alive(self) -> bool:
        return self.thread.is_alive()

    def result(self, timeout: float = DEADLINE) -> Any:
        """What the function returned or raised; the test fails if it is not done in time."""
        self.collected = True
        self.thread.join(timeout)
        if self.thread.is_alive():
            pytest.fail(f"{self._call[0]!r} is still running after {timeout:g} s", pytrace=False)
        if self._error is not None:
            error, self._error = self._error, None  # else error, traceback and frame are a cycle
            raise error
        return self._value


@pytest.fixture
def run_in_thread() -> Iterator[Callable[..., Task]]:
    """
    ``task = run_in_thread(f, x, y=1)`` starts; ``task.result()`` joins, then returns or raises.

    A task nobody asked for its result is asked at the end of the test.
    """
    tasks: list[Task] = []

    def run(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Task:
        tasks.append(Task(function, args, kwargs))
        return tasks[-1]

    yield run
    for task in tasks:
        if not task.collected:
            task.result()


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again at what another thread does, for 10 s at most on an idle machine."""
    end = time.monotonic() + 10 * TIME_SCALE
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.001)


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """``until(lambda: what another thread will make true)``; fails if it does not."""
    return wait_until


@pytest.fixture
def gone_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder was removed, as by the next release of a server."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real provider bodies, which lies beside the repository and never in it."""
    if not (RECORDINGS / "index.json").is_file():
        pytest.skip("the recordings are not there: put shared/recordings beside the repository")
    return RECORDINGS


@pytest.fixture(scope="session")
def time_scale() -> float:
    """Multiply deadlines by this: 1, or STREAMKIT_TEST_TIME_SCALE."""
    return TIME_SCALE
