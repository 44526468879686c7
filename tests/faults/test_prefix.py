"""What had come before a fault is delivered, whatever stands between the network and the user."""

from __future__ import annotations

from typing import Any

import pytest
from fault_cases import CASES, LIMITS

from streamkit import Limits, StreamkitError, StreamOptions
from streamkit.testing import FAULTS
from streamkit.text import SEGMENTERS

#: One per kind of ending; the others differ in how it came about.
ENDINGS = ("rst-after", "truncated-chunked", "no-finish", "error-mid", "huge-event", "invalid-json")
OVERFLOWS = ("block", "coalesce", "drop", "overwrite")


@pytest.mark.parametrize("fault", ENDINGS)
@pytest.mark.parametrize("units", SEGMENTERS)
@pytest.mark.parametrize("overflow", OVERFLOWS)
def test_text_that_was_held_back_comes_before_the_error(
    ask: Any, serve: Any, fault: str, units: str, overflow: str
) -> None:
    case = CASES[fault]
    mode = "direct" if overflow == "block" else "managed"
    stream = ask(
        serve(FAULTS[fault]), mode, units=units, overflow=overflow,
        options=StreamOptions(limits=Limits(**LIMITS)),
    )  # fmt: skip
    shown = ""
    with pytest.raises(StreamkitError) as caught:
        for batch in stream.batches(3):
            shown += "".join(chunk.content for chunk in batch if chunk.kind == "text")
    assert type(caught.value) is case.gives
    assert shown == case.text == caught.value.partial.text == stream.partial.text
