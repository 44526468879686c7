"""
JSON text -> values, with bounds and one kind of error.

Source: PROMISES.md P65. The parser is the standard library's, which accepts the lone surrogates
some servers send (FACTS.md F10).
"""

from __future__ import annotations

import json
from gc import get_referents
from typing import Any

from streamkit.errors import LimitExceeded, ProtocolError

__all__ = ["MAX_DEPTH", "MAX_VALUES", "encode", "is_whole", "parse"]

#: Levels of arrays and objects. PROMISES.md P65; the deepest recorded event has fewer than 20.
MAX_DEPTH = 256

#: Values of one text: an empty list takes three bytes of it and twenty times that in memory, so a
#: bound on bytes bounds nothing. Chosen so that the worst text adds some 50 MB; an answer of 4,096
#: tokens with five logprobs each has 220,000. Commas and opening brackets are counted, those in
#: strings too: that is C, and texts that are no longer than the bound are not even counted.
MAX_VALUES = 250_000

#: A text that nests deeper has at least this many characters: it closes what it opens.
_SHORT = 2 * (MAX_DEPTH + 1)

_BLANK = " \t\n\r"


def _none(_: str) -> None:
    return None


def _int_or_none(digits: str) -> int | None:
    try:
        return int(digits)
    except ValueError:
        return None


# Made once: json.loads(parse_constant=...) would make a decoder for each text.
_decode = json.JSONDecoder(parse_constant=_none).raw_decode
_decode_long = json.JSONDecoder(parse_constant=_none, parse_int=_int_or_none).raw_decode


def parse(text: str) -> Any:
    """
    The value of a JSON text.

    >>> parse('{"a": [1, NaN]} ')
    {'a': [1, None]}

    Duplicate keys: the last wins. NaN, Infinity and -Infinity become None, and so does an integer
    with more digits than Python converts (4300 by default): no provider means one, and the text
    beside it must survive it. Lone surrogates stay, see ``wire.surrogates``.

    Cost: 0.75 times ``json.loads``, which looks for blanks twice, up to 513 characters; above that
    1.0 to 1.1 times, for the depth.

    Raises:
        ProtocolError: Not JSON, or nested deeper than 256; ``data`` holds the first 200 bytes.
        LimitExceeded: More than 250,000 values; ``observed`` is their number.
    """
    text = text.strip(_BLANK)
    if len(text) > MAX_VALUES:
        _check_values(text)
    try:
        value, end = _decode(text)
    except (ValueError, RecursionError):
        end = -1
    # Nothing is raised in an except block here: a JSONDecodeError holds the whole text, and would
    # live on as the context of ours.
    if end != len(text):
        value = _parse_again(text)
    if len(text) >= _SHORT and _is_deep(value):
        raise _error(f"JSON may be nested {MAX_DEPTH} levels deep, got more", text)
    return value


def encode(value: Any) -> str:
    """
    A value that parse() gave -> JSON text; a number out of range (``1e999``) becomes null.

    >>> encode({"a": [float("inf"), "\u00e9"]})
    '{"a": [null, "\u00e9"]}'
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(parse(json.dumps(value)), ensure_ascii=False)


def is_whole(text: str) -> bool:
    """Whether a text is JSON, and so not the beginning of one that the end of input has cut."""
    try:
        parse(text)
    except ProtocolError:
        return False
    return True


def _check_values(text: str) -> None:
    count = text.count(",") + text.count("[") + text.count("{")
    if count > MAX_VALUES:
        raise LimitExceeded(
            f"JSON may hold at most {MAX_VALUES} values, got {count}",
            limit=MAX_VALUES,
            observed=count,
            data=_start(text),
        )


def _parse_again(text: str) -> Any:
    """The value, if a long integer was in the way; else raise what is wrong with the text."""
    try:
        value, end = _decode_long(text)
        if end == len(text):
            return value
        problem = f"extra data at character {end}"
    except json.JSONDecodeError as error:
        problem = f"{error.msg[:1].lower()}{error.msg[1:]} at character {error.pos}"
    except RecursionError:
        problem = "no stack left to parse it"
    raise _error(f"an event must be JSON: {problem}", text)


def _is_deep(value: Any) -> bool:
    """
    Whether arrays and objects nest deeper than the bound.

    Level by level, in C: about a tenth of the parser's time. Counting brackets in the text took
    as much, and doubled the time of one long string (measured, CPython 3.11).
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        level = get_referents(*level)
        if not level:
            return False
    return any(isinstance(item, (dict, list)) for item in level)


def _error(message: str, text: str) -> ProtocolError:
    return ProtocolError(message, data=_start(text))


def _start(text: str) -> bytes:
    return text[:200].encode("utf-8", "replace")[:200]
