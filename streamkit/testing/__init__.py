"""
A provider of your own, to test against: a loopback server that plays scripts in the real formats.

The names are imported when they are first used, so that the pytest plugin costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamkit.testing.delivery import (
        AfterAnswer,
        BeforeHeaders,
        Coding,
        Framing,
        Headers,
        OnAccept,
        Status,
        Whole,
        Wire,
    )
    from streamkit.testing.faults import FAULTS, PREFIX
    from streamkit.testing.provider import LocalProvider
    from streamkit.testing.record import RecordedRequest
    from streamkit.testing.script import (
        Cut,
        Fin,
        Gate,
        Hang,
        NextRequest,
        Pause,
        Raw,
        Repeat,
        Reset,
        Step,
    )
    from streamkit.testing.speech import (
        GREETING,
        Citation,
        Data,
        Done,
        Error,
        Finish,
        Ping,
        Reasoning,
        Refusal,
        Text,
        Tool,
        Usage,
    )

__all__ = [
    "FAULTS",
    "GREETING",
    "PREFIX",
    "AfterAnswer",
    "BeforeHeaders",
    "Citation",
    "Coding",
    "Cut",
    "Data",
    "Done",
    "Error",
    "Fin",
    "Finish",
    "Framing",
    "Gate",
    "Hang",
    "Headers",
    "LocalProvider",
    "NextRequest",
    "OnAccept",
    "Pause",
    "Ping",
    "Raw",
    "Reasoning",
    "RecordedRequest",
    "Refusal",
    "Repeat",
    "Reset",
    "Status",
    "Step",
    "Text",
    "Tool",
    "Usage",
    "Whole",
    "Wire",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        for home in ("script", "speech", "delivery", "faults", "record", "provider"):
            module = import_module(f"{__name__}.{home}")
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
