"""
Joining the text of a new attempt to the old one, without duplicate or gap. Pure.

A model that is asked to go on may first repeat the end of what it said, or begin all over. So the
new text is held back for as long as it may still be a repetition, then what was repeated is left
out. Which it was is never guessed at: ``how`` says what was seen, in the words of ``Seam``.

    the new text ...                                          -> shown
    repeats at least 20 characters, up to the old text's end  -> what follows them    overlap
    begins as the old text began, then parts from it          -> all of it            diverged
    repeats 60 or more of an earlier place, then parts        -> all of it            diverged
    anything else                                             -> all of it            appended

The longest repetition counts. In text that repeats itself (rules of dashes, rows of a table) more
than one is possible, and no rule could tell which the model meant.
"""

from __future__ import annotations

import re
from itertools import takewhile

__all__ = ["Echo", "Joint", "Known"]

#: Two blanks within a line, as some set them behind a full stop or a number.
_DOUBLE = re.compile(r"\S  (?=\S)")

#: A shorter repetition happens by itself; DESIGN.md section 3, "Recovery".
LEAST = 20
#: From an earlier place than the start only this much says that the model goes over it again:
#: names and turns of phrase come back in good answers too. Chosen; not measured.
RETOLD = 60
#: How far back from its end the old text is searched; longer than paragraphs are.
WINDOW = 16 * 1024
#: Most places followed at once; only text that repeats itself has more than a few.
PLACES = 256


class Joint:
    """
    New text, delta by delta -> what of it goes on after the old text.

    >>> joint = Joint("The river bends because the bank erodes")
    >>> joint.feed("because the bank erodes"), joint.feed(" on one side.")
    ('', ' on one side.')
    >>> joint.how, joint.trimmed
    ('overlap', 23)

    Thread safety: **confined**.

    Cost: each character of the new text is compared once with each place it may repeat.
    """

    def __init__(self, old: str) -> None:
        self._old = old
        self._held: list[str] = []  # pieces: one growing text would be copied with each delta
        self._size = 0  # of what is held
        self._places: list[int] | None = None  # in the old text, where what is held may stand
        self._whole: int | None = None  # the length of the longest repetition up to the end
        self._longest = 0  # that was seen anywhere, and whether it began with the old text
        self._began_anew = False
        #: None while it cannot be told.
        self.how: str | None = None
        self.trimmed = 0

    def feed(self, text: str) -> str:
        """Take text, give what is certain to be new."""
        if self.how is not None:
            return text
        before = self._size
        self._held.append(text)
        self._size += len(text)
        if self._places is None:
            held = "".join(self._held)
            if len(held) < LEAST:
                return "" if self._may_repeat(held) else self._decide()
            self._places, before, text = self._find(held[:LEAST]), LEAST, held[LEAST:]
            self._longest = LEAST if self._places else 0
        self._follow(text, before)
        return "" if self._places else self._decide()

    def flush(self) -> str:
        """The end of the new text -> what was held, but for a repetition up to the old end."""
        return "" if self.how is not None else self._decide()

    def _may_repeat(self, held: str) -> bool:
        old = self._old
        return old.startswith(held) or old.find(held, max(0, len(old) - WINDOW)) >= 0

    def _find(self, head: str) -> list[int]:
        """Where the first characters of the new text stand in the old one, in order."""
        old, places = self._old, []
        if old.startswith(head):
            places.append(0)
        at = old.find(head, max(1, len(old) - WINDOW))
        while at >= 0 and len(places) < PLACES:
            places.append(at)
            at = old.find(head, at + 1)
        return places

    def _follow(self, text: str, before: int) -> None:
        """Keep the places where what comes behind ``before`` fits; note those that are done."""
        old = self._old
        assert self._places is not None
        open_ones = []
        for place in self._places:
            length = len(old) - place
            end = min(length, self._size)
            if not old.startswith(text[: end - before], place + before):
                self._part(place, before)
            elif end < length:
                open_ones.append(place)
            else:
                self._whole = max(self._whole or 0, length)
        self._places = open_ones

    def _part(self, place: int, before: int) -> None:
        self._longest = max(self._longest, before)
        self._began_anew |= place == 0

    def _decide(self) -> str:
        held = "".join(self._held)
        self._held.clear()
        if self._places:  # the new text ended in the middle of what it repeated
            self._longest = max(self._longest, len(held))
            self._began_anew |= 0 in self._places
        if self._whole is not None:
            self.how, self.trimmed = "overlap", self._whole
        elif (self._began_anew and self._longest >= LEAST) or self._longest >= RETOLD:
            self.how = "diverged"
        else:
            self.how, self.trimmed = "appended", self._doubled(held)
        return held[self.trimmed :]

    def _doubled(self, held: str) -> int:
        """A blank that both sides of the joint have stands there once (PROMISES.md P56)."""
        old_end, new_start = self._old[-2:], held[:2]
        if _DOUBLE.search(self._old) is not None:
            return 0  # this text sets two blanks elsewhere, too
        single = old_end[-1:] == " " != old_end[:1] and new_start[:1] == " " != new_start[1:]
        return int(single and not (old_end[:1].isspace() or new_start[1:].isspace()))


class Known:
    """
    A Joint where nothing is repeated, because the service or the model went on with its own text.

    Thread safety: **confined**.

    Args:
        how: The word for it.
        blanks: What the old text ends with and the model was not shown: some services refuse it.
            As far as the new text begins with that, it is left out.
    """

    def __init__(self, how: str, blanks: str = "") -> None:
        self.how: str | None = None if blanks else how
        self.trimmed = 0
        self._how = how
        self._blanks = blanks
        self._held = ""

    def feed(self, text: str) -> str:
        """Take text, give what is certain to be new."""
        if self.how is not None:
            return text
        self._held += text
        if len(self._held) < len(self._blanks) and self._blanks.startswith(self._held):
            return ""
        return self.flush()

    def flush(self) -> str:
        """The end of the new text -> what was held."""
        if self.how is not None:
            return ""
        self.how = self._how
        held, self._held = self._held, ""
        same = takewhile(lambda pair: pair[0] == pair[1], zip(held, self._blanks, strict=False))
        self.trimmed = sum(1 for _ in same)
        return held[self.trimmed :]


class Echo:
    """
    A Joint after a prefill to a service that may send the text it was given once more.

    Only the whole of it counts: the model goes on with its own words, and has no cause to repeat
    a part of them.

    Thread safety: **confined**.

    Args:
        old: The text that was shown.
    """

    def __init__(self, old: str) -> None:
        self._text = old
        self._held: list[str] = []
        self._size = 0
        self.how: str | None = None
        self.trimmed = 0

    def feed(self, text: str) -> str:
        """Take text, give what is certain to be new."""
        if self.how is not None:
            return text
        at = self._size
        self._held.append(text)
        self._size += len(text)
        if self._size < len(self._text) and self._text.startswith(text, at):
            return ""
        return self.flush()

    def flush(self) -> str:
        """The end of the new text -> what was held."""
        if self.how is not None:
            return ""
        held = "".join(self._held)
        self._held.clear()
        self.trimmed = len(self._text) if held.startswith(self._text) else 0
        self.how = "overlap" if self.trimmed else "prefill"
        return held[self.trimmed :]
