"""What counts as a number where options are checked."""

from __future__ import annotations

import sys

__all__ = ["is_number"]


def is_number(value: object) -> bool:
    """
    Whether a value is a number that can be reckoned with: no bool, no int that no float can hold.

    Such an int passes every check of a range, and raises OverflowError when it meets a clock, in a
    thread and long after. Infinity is a number, and so is NaN: a range that is asked as
    ``not value > 0`` refuses it.
    """
    if isinstance(value, float):
        return True
    return type(value) is not bool and isinstance(value, int) and abs(value) <= sys.float_info.max
