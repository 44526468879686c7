"""
What a stop says: whether a sentence is over, by the word before it and the first character after.

What speaks against it: abbreviations, initials, numbers of list items, a small letter after an
ellipsis or a closing quote. Where it is in doubt two sentences stay together: to hear one late is
better than to hear it torn.

Source: our own rules; the seeds have no more than "ends with ``.``, ``!``, ``?``".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["BACK", "CLOSERS", "STOPS", "Stop"]

#: Characters before a stop that tell.
BACK = 32


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Abbreviations that something always follows, as they are written; titles only with a capital.
_LEADING = _words(
    "Mr Mrs Ms Mx Dr Prof Rev Hon Gen Gov Sen Rep Capt Lt Col Sgt Messrs Mme Mlle St Mt Ft Hr Fr "
    "Sr Sra Srta Dra Sig Dott "
    "vs cf viz ca approx incl resp eg ie e.g i.e Vs Cf Approx Incl E.g I.e "
    "bzw ggf evtl vgl inkl z.B d.h u.a Vgl Z.B D.h"
)
#: Abbreviations that a number follows; before anything else they are words.
_NUMBERED = _words(
    "no nos fig figs eq eqs sec secs ch vol vols p pp nr abs art "
    "jan feb mar apr jun jul aug sep sept oct nov dec"
)
#: Abbreviations that are written with a blank too: the first letter and the next, and both.
_SPACED = _words("zB ZB dh Dh uA ua sO so oÄ eg Eg ie")
_HALVES = re.compile(r"(?<!\w)(?:[zZ]\. B|[dD]\. h|u\. [aA]|s\. [oO]|o\. Ä|[eE]\. g|i\. e)\Z")
#: Abbreviations that end a sentence when a capital follows, and else do not.
_TRAILING = _words("etc al inc ltd co corp bros jr a.m p.m usw dept est")

_STRONG = frozenset("!?؟।॥።։၊။۔")  # noqa: RUF001  (meant, as all of the signs below)
_WIDE = frozenset("。！？｡")  # noqa: RUF001
_ELLIPSIS = "…"
STOPS = f".{_ELLIPSIS}{''.join(sorted(_STRONG | _WIDE))}"
#: What may stand between a stop and the blanks: quotes, brackets, emphasis.
CLOSERS = frozenset("\"')]}»›”’“‘«‹*_`~」』）】》〉〕］｝")  # noqa: RUF001

_LONGEST = 6  # letters of an abbreviation
#: What may stand before a word, and before the first word of a line.
_OPENERS = "([{\"'“‘„‚«‹»›¿¡*_`~"  # noqa: RUF001
_LEADERS = " \t>#*+-" + _OPENERS
_INITIALS = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")


@dataclass(slots=True)
class Stop:
    """
    A stop and all that speaks for and against the end of the sentence there.

    Thread safety: **confined**.
    """

    before: str  # the last characters before it, BACK at most, and at least one
    dots: int = 0
    strong: bool = False
    wide: bool = False
    closed: bool = False

    def take(self, run: str) -> None:
        """More stops and closers."""
        if run == ".":  # nearly all
            self.dots += 1
            return
        self.dots += run.count(".") + 2 * run.count(_ELLIPSIS)
        self.strong = self.strong or not _STRONG.isdisjoint(run)
        self.wide = self.wide or not _WIDE.isdisjoint(run)
        self.closed = self.closed or not CLOSERS.isdisjoint(run)

    def ends(self, char: str) -> bool:
        """Whether the sentence is over, if this character comes after the blanks."""
        if self.wide:
            return True
        if char.islower() and (self.closed or (self.dots > 1 and not self.strong)):
            return False
        return self.strong or self.closed or self.dots > 1 or self._full_stop(char)

    def _full_stop(self, char: str) -> bool:
        if self.before[-1].isspace():
            return True
        word = self.before.rsplit(maxsplit=1)[-1].lstrip(_OPENERS)
        if not word or (len(word) > _LONGEST and "." not in word):
            return True
        small = word.lower()
        if word in _LEADING:
            return False
        if small in _NUMBERED and char.isdigit():
            return False
        if small in _TRAILING:
            return not char.islower()
        if len(word) == 1 and (word + char in _SPACED or _HALVES.search(self.before)):
            return False
        if word.isdigit() or len(word) == 1:
            if self.before[: -len(word)].rstrip(_LEADERS)[-1:] == "\n":
                return False  # "1. First": the number of an item
            if word.isdigit() and len(word) < 3 and char.islower():
                return False  # "am 3. und 4. Mai"
            return word == "I" or len(word) > 1 or not word.isupper()  # "J. Smith"
        return not _INITIALS.fullmatch(word)  # "U.S. Army", "Ph.D."
