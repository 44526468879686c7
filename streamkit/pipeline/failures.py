"""
Errors as plain JSON, for a store, and back: an error of the same class in another process.

The class is looked up in a table of our own (PROMISES.md S15), and only members that are listed
here are kept: never a body, a header or a traceback. A user's own exception is told by its class
alone, for its words may hold anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from streamkit import errors
from streamkit.chunk import Outcome
from streamkit.errors import StreamkitError
from streamkit.recovery.recovery import is_recoverable
from streamkit.wire.surrogates import clean

__all__ = ["error_from_json", "error_to_json", "may_be_resumed"]

#: Characters kept of any text. str() of a provider's error is shorter.
MOST = 2000

_CLASSES: Mapping[str, type[StreamkitError]] = {
    name: getattr(errors, name) for name in errors.__all__
}

#: The members kept, and their types.
_MEMBERS: Mapping[str, tuple[type, ...]] = {
    "stage": (str,),
    "provider": (str,),
    "status": (int,),
    "request_id": (str,),
    "elapsed": (int, float),
    "retryable": (bool,),
    "kind": (str,),
    "clock": (str,),
    "limit": (int, float),
    "observed": (int,),
    "message": (str,),
    "code": (str, int),
    "type": (str,),
    "retry_after": (int, float),
    "reason": (str,),
    "first_available": (int,),
    "last_seq": (int,),
}


def error_to_json(error: BaseException, *, recoverable: bool | None = None) -> dict[str, Any]:
    """
    An error as the data of the entry that ends a stream.

    Args:
        error: Any.
        recoverable: Whether the answer may be carried on; None judges by the class.
    """
    judged = is_recoverable(error) if recoverable is None else recoverable
    if not isinstance(error, StreamkitError):
        kind = clean(type(error).__name__)
        said = f"the producer's own code raised {kind}"
        return {"class": kind, "said": said, "recoverable": judged}
    data: dict[str, Any] = {
        "class": type(error).__name__,
        "said": clean(str(error))[:MOST],
        "recoverable": judged,
        "outcome": error.outcome,
    }
    for name, kinds in _MEMBERS.items():
        value = getattr(error, name, None)
        if isinstance(value, str) and str in kinds:
            data[name] = clean(value)[:MOST]
        elif _fits(value, kinds):
            data[name] = value
    return data


def error_from_json(data: Mapping[str, Any]) -> StreamkitError:
    """
    The error again: of its class, or a StreamkitError if that is none of ours. Never raises.

    What is not as we write it is left out.
    """
    name, said = data.get("class"), data.get("said")
    kind = _CLASSES.get(name, StreamkitError) if isinstance(name, str) else StreamkitError
    error = kind(clean(said)[:MOST] if isinstance(said, str) else "the producer failed")
    for name, kinds in _MEMBERS.items():
        value = data.get(name)
        if _fits(value, kinds) and hasattr(error, name):
            setattr(error, name, clean(value) if isinstance(value, str) else value)
    outcome = data.get("outcome")
    if outcome in get_args(Outcome):
        error.outcome = cast(Outcome, outcome)
    return error


def may_be_resumed(data: Mapping[str, Any]) -> bool:
    """Whether the writer of a "failed" entry held its answer for recoverable."""
    return data.get("recoverable") is True


def _fits(value: object, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in kinds
    if isinstance(value, float):
        return float in kinds and value - value == 0  # neither infinite nor NaN
    if isinstance(value, int):
        return int in kinds and value.bit_length() <= 64
    return isinstance(value, kinds)
