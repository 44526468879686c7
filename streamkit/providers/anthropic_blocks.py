"""
Blocks of an answer that are neither text, thought nor a call for the user's side: the tools that
the service runs itself, their results, and compactions.

The input of such a tool streams in before the tool runs, so what is told at the end of its block is
both complete and early. Results come whole at the beginning of theirs.

Source: WIRE_FORMATS.md section 4; the official SDK, anthropic 2.11.
"""

from __future__ import annotations

from typing import Any

from streamkit.errors import LimitExceeded, ProtocolError
from streamkit.providers.calls import MAX_CALLS, word
from streamkit.wire.jsontext import parse
from streamkit.wire.surrogates import clean, clean_deep

__all__ = ["ServerBlocks"]

Json = dict[str, Any]

#: Characters of all inputs that stream in; a file that a tool is to write is the longest known.
#: Chosen, not measured: the 64,000 tokens that models answer at most are a sixtieth of it.
MAX_INPUT = 16 * 1024 * 1024

_TOOLS = frozenset({"server_tool_use", "mcp_tool_use"})

#: What a delta says of a compaction, each time in full.
_SUMMARY = ("content", "encrypted_content")


class ServerBlocks:
    """
    Blocks in events -> what a chunk of each says, as its metadata.

    Thread safety: **confined**.
    """

    def __init__(self) -> None:
        #: Index -> the block that is open there, and the fragments of its input.
        self._open: dict[int | None, tuple[Json, list[str]]] = {}
        self._size = 0

    def start(self, index: int | None, block: Json) -> list[Json]:
        """
        A block begins; a kind that is not known says nothing.

        Raises:
            LimitExceeded: More than 1,024 are open.
        """
        told = self.stop(index)  # one that never ended makes room
        kind = block.get("type")
        if isinstance(kind, str) and kind.endswith("_tool_result"):
            id = word(block.get("tool_use_id"))
            told.append({"server_tool_result": {**clean_deep(block), "id": id}})
        elif isinstance(kind, str) and (kind in _TOOLS or kind == "compaction"):
            if len(self._open) == MAX_CALLS:
                raise LimitExceeded(
                    f"an answer may have at most {MAX_CALLS} open blocks, got more",
                    limit=MAX_CALLS,
                    observed=MAX_CALLS + 1,
                )
            self._open[index] = block, []
        return told

    def add(self, index: int | None, delta: Json) -> bool:
        """
        Take a delta, if the block it belongs to is one of these.

        Raises:
            LimitExceeded: All inputs together are over 16 Mi characters.
        """
        found, kind = self._open.get(index), delta.get("type")
        if found is None or kind not in ("input_json_delta", "compaction_delta"):
            return False
        block, fragments = found
        if kind == "compaction_delta":
            said = {name: delta[name] for name in _SUMMARY if delta.get(name) is not None}
            self._open[index] = {**block, **said}, fragments
        elif isinstance(fragment := delta.get("partial_json"), str):
            fragments.append(fragment)
            self._size += len(fragment)
        if self._size > MAX_INPUT:
            raise LimitExceeded(
                f"the inputs of server tools may have {MAX_INPUT} characters, got more",
                limit=MAX_INPUT,
                observed=self._size,
            )
        return True

    def stop(self, index: int | None) -> list[Json]:
        """A block ends, whichever kind it is of."""
        found = self._open.pop(index, None)
        if found is None:
            return []
        block, fragments = found
        if block.get("type") == "compaction":
            return [{"compaction": clean_deep(block)}]
        known = {"name": word(block.get("name")), "id": word(block.get("id"))}
        given = _value("".join(fragments), block.get("input"))
        return [{"server_tool": {**clean_deep(block), **known, "input": given}}]

    def stop_all(self) -> list[Json]:
        """The answer ends: the blocks that did not."""
        return [told for index in list(self._open) for told in self.stop(index)]


def _value(text: str, given: Any) -> Any:
    """The input that streamed in, as text where it is no JSON; else what the start gave."""
    if not text.strip():
        return clean_deep(given) if given else {}
    try:
        return clean_deep(parse(text))
    except ProtocolError:
        return clean(text)
