"""
What a full ring does with one more item: the policies, and the seam for a user's own.

A policy is a callable ``policy(ring, item) -> Verdict``. It is asked, under the ring's lock, only
when ``item`` has no room. It may change the ring through the two methods of FullRing and answers:

    "wait"     the push waits until the consumer has made room (back-pressure)
    "shed"     the new item is thrown away and counted; an item that may not be shed waits instead
    "retry"    a queued item was discarded: try again; asked again while there is still no room
    "merged"   the new item is now part of the newest queued one

A new policy is one function here and one line in POLICIES; the conformance suite then covers it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeVar

from streamkit.callback import check_callable
from streamkit.errors import ConfigurationError

__all__ = ["POLICIES", "FullRing", "Policy", "Verdict"]

Verdict = Literal["wait", "shed", "retry", "merged"]
Item = TypeVar("Item", contravariant=True)


class FullRing(Protocol[Item]):
    """
    What a policy may do to the ring.

    Thread safety: **confined** to the call of the policy, which holds the ring's lock.
    """

    def discard_oldest(self) -> bool:
        """Throw away and count the oldest item that may be shed; False where there is none."""

    def merge_newest(self, item: Item) -> bool:
        """Make ``item`` part of the newest queued one; False where the two do not go together."""


#: Must be quick and must not call the ring, whose lock is held.
Policy = Callable[[FullRing[Any], Any], Verdict]


def block(ring: FullRing[Any], item: Any) -> Verdict:
    """Lose nothing: a full ring stops the producer."""
    return "wait"


def drop(ring: FullRing[Any], item: Any) -> Verdict:
    """Keep the oldest: the new item is thrown away."""
    return "shed"


def overwrite(ring: FullRing[Any], item: Any) -> Verdict:
    """Keep the newest: the oldest item that may be shed is thrown away."""
    return "retry" if ring.discard_oldest() else "wait"


def coalesce(ring: FullRing[Any], item: Any) -> Verdict:
    """Lose nothing and wait less: the new item joins the newest queued one where that can be."""
    return "merged" if ring.merge_newest(item) else "wait"


POLICIES: Mapping[str, Policy] = {
    "block": block,
    "drop": drop,
    "overwrite": overwrite,
    "coalesce": coalesce,
}


def resolve(overflow: str | Policy) -> Policy:
    """
    Name or callable -> policy.

    Raises:
        ConfigurationError: Neither a name in POLICIES nor a callable.
    """
    policy = POLICIES.get(overflow) if isinstance(overflow, str) else overflow
    if not callable(policy):
        names = ", ".join(POLICIES)
        raise ConfigurationError(
            f"overflow must be one of {names}, or a callable, got {overflow!r}"
        )
    check_callable(overflow=policy)
    return policy
