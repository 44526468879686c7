from __future__ import annotations

import math
from email.utils import formatdate
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    ContentBlocked,
    InvalidRequest,
    LimitExceeded,
    Overloaded,
    ProtocolError,
    ProviderError,
    RateLimited,
    StreamInterrupted,
    StreamkitError,
    StreamTimeout,
    TransportError,
    TruncatedStream,
)
from streamkit.recovery import RetryConfig, RetryPolicy, retry_after

NOW = 1_800_000_000.0

seconds = st.floats(min_value=0, max_value=1e6)


def policy(random: float = 0.0, **config: float) -> RetryPolicy:
    return RetryPolicy(RetryConfig(**config), random=lambda: random)


def first_delay(error: StreamkitError) -> float | None:
    return policy().delay(error, failures=1, total_left=math.inf)


@pytest.mark.parametrize(
    "error",
    [
        RateLimited("429"),
        Overloaded("503"),
        StreamInterrupted("reset before the headers"),
        TruncatedStream("empty body"),
        ConnectError("no such host", kind="dns"),
        ConnectError("refused", kind="refused"),
        ConnectError("no descriptors left", kind="resources"),
        StreamTimeout("connect", clock="connect"),
        StreamTimeout("first", clock="first"),
        StreamTimeout("wire", clock="wire"),
        ProviderError("in-band, transient", retryable=True),
        InvalidRequest("x-should-retry: true", retryable=True),
    ],
    ids=repr,
)
def test_what_may_pass_is_sent_again(error: StreamkitError) -> None:
    assert first_delay(error) == 0.375


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("bad url"),
        TransportError("redirect"),
        ConnectError("certificate", kind="tls"),
        StreamTimeout("total", clock="total"),
        StreamTimeout("content", clock="content"),
        ProtocolError("html"),
        LimitExceeded("too long"),
        ProviderError("in-band"),
        AuthenticationError("401"),
        InvalidRequest("400"),
        ContentBlocked("no"),
        RateLimited("x-should-retry: false", retryable=False),
    ],
    ids=repr,
)
def test_what_would_fail_again_is_not_sent_again(error: StreamkitError) -> None:
    assert first_delay(error) is None


@pytest.mark.parametrize("max_retries", [0, 1, 2, 5])
def test_max_retries_bounds_the_requests(max_retries: int) -> None:
    delays = [
        policy(max_retries=max_retries).delay(Overloaded(), failures=n, total_left=math.inf)
        for n in range(1, 8)
    ]
    assert [delay is None for delay in delays] == [n > max_retries for n in range(1, 8)]


def test_back_off_doubles_up_to_the_cap() -> None:
    delays = [
        policy(random=0.0, max_retries=7).delay(Overloaded(), failures=n, total_left=math.inf)
        for n in range(1, 8)
    ]
    assert delays == [0.75 * x for x in (0.5, 1, 2, 4, 8, 8, 8)]


@given(failures=st.integers(1, 2000), seed=st.integers())
def test_back_off_stays_in_its_band(failures: int, seed: int) -> None:
    tried = RetryPolicy(RetryConfig(max_retries=2000), random=Random(seed).random)
    full = 8.0 if failures > 5 else 0.25 * 2**failures
    delay = tried.delay(Overloaded(), failures=failures, total_left=math.inf)
    assert delay is not None and 0.75 * full <= delay <= full


def test_the_same_seed_gives_the_same_delays() -> None:
    def delays() -> list[float | None]:
        seeded = RetryPolicy(RetryConfig(max_retries=5), random=Random(7).random)
        return [seeded.delay(Overloaded(), failures=n, total_left=99) for n in range(1, 6)]

    assert delays() == delays()


def test_without_a_seed_the_delays_differ() -> None:
    default = RetryPolicy(RetryConfig())
    assert len({default.delay(Overloaded(), failures=1, total_left=99) for _ in range(20)}) > 1


@pytest.mark.parametrize("asked", [0.0, 0.02, 1.5, 60.0])
def test_the_server_s_wait_is_kept_exactly(asked: float) -> None:
    assert first_delay(RateLimited("429", retry_after=asked)) == asked


@pytest.mark.parametrize("asked", [60.001, 1e9])
def test_a_longer_wait_than_allowed_fails_at_once(asked: float) -> None:
    assert first_delay(RateLimited("429", retry_after=asked)) is None


@pytest.mark.parametrize("asked", [-1.0, math.nan, math.inf, None, "soon"])
def test_a_senseless_wait_gives_our_own_back_off(asked: object) -> None:
    assert first_delay(RateLimited("429", retry_after=asked)) == 0.375


def test_a_wait_does_not_make_an_error_retryable() -> None:
    assert first_delay(InvalidRequest("400", retry_after=1.0)) is None


@given(left=st.floats(allow_nan=False), asked=st.none() | seconds, failures=st.integers(1, 4))
def test_a_delay_always_fits_in_what_is_left(
    left: float, asked: float | None, failures: int
) -> None:
    error = RateLimited("429", retry_after=asked)
    delay = policy(max_retries=3).delay(error, failures=failures, total_left=left)
    assert delay is None or 0 <= delay < left


@pytest.mark.parametrize("left", [0.375, 0.1, 0.0, -1.0])
def test_a_delay_that_would_use_up_the_total_clock_gives_up(left: float) -> None:
    assert policy().delay(Overloaded(), failures=1, total_left=left) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after": " 0.25 "}, 0.25),
        ({"RETRY-AFTER": "0"}, 0.0),
        ({"Retry-After": "1e9"}, 1e9),
        ({"Retry-After": "3", "retry-after-ms": "120"}, 0.12),
        ({"Retry-After": "3", "Retry-After-Ms": "nan"}, 3.0),
        ({"Retry-After": "3", "Retry-After-Ms": "-5"}, 3.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"Retry-After": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"Retry-After": "Fri, 15 Jan 2027 08:00:30 -0000"}, 30.0),
        ({"Retry-After": "Friday, 15-Jan-27 08:00:30 GMT"}, 30.0),
        ({"Retry-After": "Fri Jan 15 08:00:30 2027"}, 30.0),
        ({"Retry-After": formatdate(NOW - 30, usegmt=True)}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "-Infinity"}, None),
        ({"Retry-After": "1e999"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "1_000"}, None),
        ({"Retry-After": "\u0663"}, None),
        ({"Retry-After": "Fri, 99 Jan 2027 08:00:30 GMT"}, None),
        ({"Retry-After": "Fri, 15 Jan 99999999999 08:00:30 GMT"}, None),
        ({"Retry-After": "1" * 65}, None),
    ],
)
def test_retry_after_reads(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after(headers, now=NOW) == expected


DATE_PIECES = st.sampled_from(
    ["Fri", ",", " ", "15", "Jan", "2027", "08:00:30", "08.00", ":", "GMT", "+9999", "-", "(", "x"]
)


@given(value=st.text() | st.lists(DATE_PIECES, max_size=12).map("".join), now=seconds)
def test_retry_after_never_raises_and_is_never_negative(value: str, now: float) -> None:
    wait = retry_after({"Retry-After": value, "retry-after-ms": value}, now=now)
    assert wait is None or 0 <= wait < math.inf


@given(value=seconds)
def test_retry_after_gives_back_any_number(value: float) -> None:
    assert retry_after({"retry-after": repr(value)}, now=NOW) == value


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_retries", -1),
        ("max_retries", 1.5),
        ("max_retries", True),
        ("initial", -0.1),
        ("initial", math.nan),
        ("cap", math.inf),
        ("cap", "8"),
        ("max_retry_after", None),
    ],
)
def test_a_bad_option_is_refused_by_name(option: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"retry {option} must be .*, got {value!r}"):
        RetryConfig(**{option: value})  # type: ignore[arg-type]
