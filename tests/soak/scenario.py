"""
One stream of the soak, made from the seed and its number: what the server plays, what the client
asks for. Pure: both processes compute the same scenario, and so does whoever runs it again.

Every piece of text begins with a mark of its own, ``<stream:piece>``, so that a piece that is lost,
doubled, out of order, or another stream's cannot go unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from faults import BREAKS, DIALECTS, FAULTS, Fault

from streamkit.testing import Done, Finish, Reasoning, Step, Text, Tool

__all__ = ["CONSUMERS", "Scenario", "Try", "mark", "scenario"]

#: Who drains, and how; consumers.py has a function for each.
CONSUMERS = (
    "for", "chunks", "batches", "get", "poll", "result", "on_text", "on_chunk", "on_batch",
    "break", "break-chunks", "loop-raises", "callback-raises", "callback-cancels",
    "errors-counted", "drop", "close",
)  # fmt: skip
#: Those that leave before the end, if there is anything to leave.
LEAVERS = frozenset(
    {"break", "break-chunks", "loop-raises", "callback-raises", "callback-cancels", "drop", "close"}
)

FILLER = (
    " and", " so", "\n", " it's", "?", " naïve", " Größe", " 東京", " 😀", " \u200d", ".\n\n",
    " — ", " [x](y)", " {json: 1}", " a\u2028b", " data:", "\t", " e\u0301", " 👩‍🚀", "\r\n",
)  # fmt: skip

#: A reset throws away what the client's kernel has not taken yet. So many pieces it takes for sure:
#: its first receive window on loopback is 64 KiB, and an event of ours is under 1 KiB.
MOST_BEFORE_RESET = 40


@dataclass(frozen=True)
class Try:
    """
    One request: what it is answered with.

    Args:
        fault: A name in FAULTS.
        pieces: The text said before it strikes, delta by delta.
        thinking: The reasoning said before that.
        arguments: Of the tool call after the text; None without one.
        finish: The finish reason, where the answer gets that far.
        steps: All of it as a script.
    """

    fault: str
    pieces: tuple[str, ...] = ()
    thinking: tuple[str, ...] = ()
    arguments: str | None = None
    finish: str = "stop"
    steps: tuple[Step, ...] = field(default=(), repr=False)

    @property
    def row(self) -> Fault:
        """The fault's row in the table."""
        return FAULTS[self.fault]


@dataclass(frozen=True)
class Scenario:
    """
    One stream.

    Args:
        number: Which; in the prompt, by which the server knows it.
        dialect: Of DIALECTS.
        tries: The answers, request by request; the last repeats.
        retries: RetryConfig.max_retries; None is no retry.
        keywords: Of stream(), plain values only.
        consumer: Of CONSUMERS.
        after: Chunks or calls until a leaver leaves.
        cancel: Seconds until another thread cancels; None if it does not.
        slow: Seconds the consumer takes for each of its first items.
        stop: A mark where ``stop_when`` ends the answer, ``chars`` how many characters do.
        reject: A mark whose chunk a validator refuses, or raises at if ``boom``.
        upper: Whether a transform shows the text in capitals (ASCII only).
        limit: Limits.answer; None is the default.
    """

    seed: int
    number: int
    dialect: str
    tries: tuple[Try, ...]
    retries: int | None
    keywords: dict[str, Any]
    consumer: str
    after: int = 0
    cancel: float | None = None
    slow: float = 0.0
    stop: str | None = None
    chars: int | None = None
    reject: str | None = None
    boom: bool = False
    upper: bool = False
    limit: int | None = None

    @property
    def prompt(self) -> str:
        """What the request asks; it tells the server which stream it is."""
        return f"soak-{self.number}-"

    @property
    def recovery(self) -> int | None:
        """How often a broken answer is carried on; None for never."""
        config = self.keywords.get("recovery")
        return None if config is None else config["max_retries"]

    @property
    def lossless(self) -> bool:
        """Whether no buffer policy may shed text."""
        direct = self.keywords["mode"] == "direct"
        return direct or self.keywords["overflow"] in ("block", "coalesce")

    @property
    def leaves(self) -> bool:
        """Whether the client may end the stream before the server does."""
        return self.cancel is not None or self.consumer in LEAVERS

    @property
    def faults(self) -> tuple[str, ...]:
        """The names of what goes wrong, request by request."""
        return tuple(one.fault for one in self.tries)


def mark(number: int, piece: int) -> str:
    """What a piece of text begins with."""
    return f"<{number}:{piece}>"


def scenario(seed: int, number: int) -> Scenario:
    """The stream of that number."""
    random = Random(f"{seed}/{number}")
    dialect = random.choice(DIALECTS)
    tries = _tries(random, number, dialect)
    last = tries[-1].row
    made = Scenario(
        seed=seed,
        number=number,
        dialect=dialect,
        tries=tries,
        retries=random.choice([None, 0, 1, 2, 3, 3]),
        keywords=_keywords(random, any(one.row.clock for one in tries)),
        consumer=random.choice(CONSUMERS),
        after=random.choice([1, 1, 2, 5, 20]),
        slow=random.choice([0.0, 0.0, 0.0, 0.001, 0.01]),
        upper=random.random() < 0.15,
    )
    if made.consumer == "poll" and made.keywords["mode"] == "direct":
        made.keywords["mode"] = "buffered"
    if random.random() < 0.15:
        made = _carried_on(random, made)
    if random.random() < 0.2:
        # From before the connection is there to long after the end.
        made = replace(made, cancel=random.choice([0.0, 0.002, 0.01, 0.03, 0.1, 0.3]))
    made = _user_ends(random, made)
    if last.endless and not (made.chars or made.limit):  # a mark may never come
        made = replace(made, chars=random.randint(200, 5000), stop=None, reject=None)
    return made


def _user_ends(random: Random, made: Scenario) -> Scenario:
    """A stop or a validator that may end it, where it is known what it sees."""
    if made.tries[-1].row.loses:
        return made
    if made.recovery is not None and random.random() < 0.7:
        return made
    pieces = len(made.tries[-1].pieces)
    where = mark(made.number, random.randrange(pieces + 3))
    match random.randrange(16):
        case 0:
            return replace(made, stop=where)
        case 1:
            return replace(made, chars=random.randint(1, 40 * (pieces + 1)))
        case 2 if made.recovery is None:  # where an answer is joined, deltas may be cut anew
            return replace(made, reject=where)
        case 3 if made.recovery is None:
            return replace(made, reject=where, boom=True)
        case 4 if made.tries[-1].row.endless:
            return replace(made, limit=random.randint(1000, 20000))
    return made


def _carried_on(random: Random, made: Scenario) -> Scenario:
    """The same answer, broken once or more, and carried on from where it broke."""
    last = made.tries[-1]
    row = last.row
    if row.where != "none" or row.endless or last.fault == "events-twice" or last.thinking:
        return made
    breaks = [name for name in BREAKS if (name, made.dialect) != ("error", "ollama")]
    number, at = made.number, 0
    broken = []
    for name in random.choices(breaks, k=random.choice([1, 1, 2, 3])):
        count = random.randint(1, MOST_BEFORE_RESET)
        pieces = tuple(_piece(random, number, piece) for piece in range(at, at + count))
        steps = FAULTS[name].make(random, _said(random, pieces, (), None), ())
        broken.append(Try(name, pieces, steps=tuple(steps)))
        at += count
    rest = tuple(_piece(random, number, at + piece) for piece in range(random.randint(1, 60)))
    end = [Finish(last.finish), Done()]
    steps = row.make(random, _said(random, rest, (), last.arguments), end)
    whole = replace(last, pieces=rest, steps=tuple(steps))
    config = {
        "strategy": random.choice(["exact", "paragraph", "summarize"]),
        "max_retries": random.choice([1, 2, 3, 3]),
    }
    keywords = {**made.keywords, "recovery": config}
    return replace(made, tries=(*made.tries[:-1], *broken, whole), keywords=keywords)


def _tries(random: Random, number: int, dialect: str) -> tuple[Try, ...]:
    usable = {name: row for name, row in FAULTS.items() if dialect in row.dialects}
    early = [name for name, row in usable.items() if row.where == "before"]
    count = random.choice([0, 0, 0, 0, 0, 1, 1, 2, 3])
    names = random.choices(early, [usable[name].weight for name in early], k=count)
    names += random.choices([*usable], [row.weight for row in usable.values()])
    return tuple(_try(random, number, name) for name in names)


def _try(random: Random, number: int, name: str) -> Try:
    row = FAULTS[name]
    if row.where == "before":
        return Try(name, steps=tuple(row.make(random, (), ())))
    sizes = [3, 10, 40, 40, 150, 600] if row.where == "none" else [3, 10, MOST_BEFORE_RESET]
    most = random.choice(sizes)
    least = 1 if row.where == "mid" else 0
    count = random.randint(least, min(most, 20) if row.endless else most)
    pieces = tuple(_piece(random, number, piece) for piece in range(count))
    thinking: tuple[str, ...] = ()
    if random.random() < 0.2:
        thinking = tuple(f"({number}:{n}) hm " for n in range(random.randint(1, 5)))
    arguments = None
    finish = random.choice(["stop"] * 6 + ["length", "content_filter"])
    if row.where == "none" and name not in ("events-twice", "endless") and random.random() < 0.1:
        arguments, finish = f'{{"call": "{number}", "words": ["é", "😀"]}}', "tool_calls"
    said = _said(random, pieces, thinking, arguments)
    if name == "events-twice":  # by sends: each must hold one event, to come twice in a row
        said = [replace(step, burst=1) for step in said if isinstance(step, Text)]
    steps = row.make(random, said, [Finish(finish), Done()])
    return Try(name, pieces, thinking, arguments, finish, tuple(steps))


def _piece(random: Random, number: int, piece: int) -> str:
    words = random.choices(FILLER, k=random.choice([0, 1, 1, 2, 4, 12]))
    return mark(number, piece) + "".join(words)


def _said(
    random: Random, pieces: Sequence[str], thinking: tuple[str, ...], arguments: str | None
) -> list[Step]:
    """The same words as steps: at once, in bursts, or at a pace."""
    steps: list[Step] = []
    if thinking:
        steps.append(Reasoning(pieces=thinking, burst=random.choice([1, 5])))
    rest = list(pieces)
    while rest:
        count = random.choice([1, 3, 10, len(rest)])
        now, rest = tuple(rest[:count]), rest[count:]
        every = random.choice([0.0, 0.0, 0.0, 0.0005, 0.003]) if len(pieces) <= 150 else 0.0
        steps.append(Text(pieces=now, burst=random.choice([1, 1, 4, 50]), every=every))
    if arguments is not None:
        steps.append(Tool("look", arguments, id=None, size=random.choice([None, 1, 7])))
    return steps


def _keywords(random: Random, clocked: bool) -> dict[str, Any]:
    mode = random.choice(["direct", "buffered", "managed"])
    made: dict[str, Any] = {
        "mode": mode,
        "buffer": random.choice([1, 2, 5, 20, 100, 1000]),
        "overflow": random.choice(["block", "drop", "overwrite", "coalesce"]),
        # A clock that must run out is short; one that must not is longer than any busy moment.
        "timeout": 1.5 if clocked else 30.0,
        "metrics": random.choice([None, True, {"interval": 0.01}]),
    }
    if random.random() < 0.3:
        made["units"] = random.choice(["word", "sentence", "line", "paragraph", "character"])
        made["strip"] = random.random() < 0.2
        if random.random() < 0.3:
            made["max_wait"] = random.choice([0.001, 0.02])
    if random.random() < 0.15:
        made["rate"] = random.choice([20_000.0, 100_000.0])
    if random.random() < 0.3:
        made["batch"] = {"size": random.choice([1, 3, 10]), "min_size": 1, "timeout": 0.005}
    return made
