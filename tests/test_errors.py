"""The tree of errors: families, outcomes, what a retry may hope for, and pickling."""

from __future__ import annotations

import copy
import pickle
from typing import Any, get_args

import pytest

import streamkit
from streamkit import Attempt, Chunk, Outcome, Result, StreamkitError, errors

KINDS: list[type[StreamkitError]] = [getattr(errors, name) for name in errors.__all__]
DETAILS: dict[str, Any] = {
    "stage": "body",
    "provider": "openai",
    "status": 529,
    "request_id": "req_1",
    "stream_id": "abc",
    "elapsed": 1.5,
    "retryable": False,
    "partial": Result(text="so far", outcome="truncated"),
}
#: Fields of single classes.
MORE: dict[str, dict[str, Any]] = {
    "ConnectError": {"kind": "dns"},
    "StreamTimeout": {"clock": "first", "limit": 3.0},
    "ProtocolError": {"data": b"\xff{"},
    "LimitExceeded": {"limit": 5, "observed": 6, "data": b"x"},
    "ProviderError": {"code": 7, "type": "t", "message": "m", "body": "b", "retry_after": 2.5},
    "RateLimited": {"code": "c", "retry_after": 9.0},
    "ChunkRejected": {"chunk": Chunk("x", index=3), "reason": "too short"},
}


def made(kind: type[StreamkitError]) -> StreamkitError:
    """One with every field set."""
    error = kind("what happened", **DETAILS, **MORE.get(kind.__name__, {}))
    # As the pipeline does: the last attempt refers to the error itself.
    error.attempts = (Attempt(1, 529, "req_1", error),)
    return error


def by_name(kind: Any) -> str:
    return str(getattr(kind, "__name__", kind))


@pytest.mark.parametrize("kind", KINDS, ids=by_name)
def test_every_error_is_of_the_family_and_public(kind: type[StreamkitError]) -> None:
    assert issubclass(kind, StreamkitError)
    assert getattr(streamkit, kind.__name__) is kind
    assert kind.__doc__
    assert kind.outcome in get_args(Outcome)


@pytest.mark.parametrize("kind", KINDS, ids=by_name)
@pytest.mark.parametrize("way", ["pickle", "copy", "deepcopy"])
def test_an_error_keeps_every_field_in_another_process(
    kind: type[StreamkitError], way: str
) -> None:
    error = made(kind)
    ways = {
        "pickle": lambda e: pickle.loads(pickle.dumps(e)),
        "copy": copy.copy,
        "deepcopy": copy.deepcopy,
    }
    again = ways[way](error)
    assert type(again) is kind
    assert str(again) == str(error) == "what happened"
    assert again.args == error.args
    for name, value in {**DETAILS, **MORE.get(kind.__name__, {})}.items():
        assert getattr(again, name) == value
    assert again.attempts[0].number == 1
    if way != "copy":
        assert again.attempts[0].error is again


@pytest.mark.parametrize("kind", KINDS, ids=by_name)
def test_an_error_without_details_has_all_the_fields(kind: type[StreamkitError]) -> None:
    error = kind("what happened")
    assert error.attempts == ()
    for name in ("partial", "stage", "provider", "status", "request_id", "stream_id", "elapsed"):
        assert getattr(error, name) is None
    assert isinstance(error.retryable, bool)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.ConfigurationError, ValueError),
        (errors.UnknownProvider, LookupError),
        (errors.StreamTimeout, TimeoutError),
        (errors.StreamInterrupted, ConnectionError),
        (errors.ConcurrencyError, RuntimeError),
    ],
    ids=by_name,
)
def test_errors_are_caught_by_the_builtin_one_expects(kind: Any, builtin: Any) -> None:
    assert issubclass(kind, builtin)


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (errors.TruncatedStream, "truncated"),
        (errors.StreamTimeout, "timeout"),
        (errors.ConnectError, "transport_error"),
        (errors.StreamInterrupted, "transport_error"),
        (errors.RateLimited, "provider_error"),
        (errors.LimitExceeded, "failed"),
        (errors.ChunkRejected, "rejected"),
        (errors.ConcurrencyError, "failed"),
    ],
    ids=by_name,
)
def test_each_error_says_how_its_stream_ended(kind: Any, outcome: str) -> None:
    assert kind.outcome == outcome


def test_only_what_may_pass_by_itself_is_retryable() -> None:
    retryable = {kind.__name__ for kind in KINDS if kind.retryable}
    assert retryable == {
        "ConnectError",
        "StreamInterrupted",
        "TruncatedStream",
        "RateLimited",
        "Overloaded",
        "StoreUnavailable",
    }


def test_the_message_is_what_str_shows() -> None:
    for kind in KINDS:
        assert str(kind("so", status=3)) == "so"
        assert "so" in repr(kind("so"))
