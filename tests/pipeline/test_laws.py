"""What holds for every stream, whatever its options: nothing is lost, made up or counted twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkit import BatchConfig, BufferConfig, FlowConfig, MetricsConfig, Stream, wrap

DRIVERS: dict[str, Any] = {
    "iter": list,
    "chunks": lambda s: [chunk.content for chunk in s.chunks() if chunk.kind == "text"],
    "batches": lambda s: [c.content for batch in s.batches() for c in batch if c.kind == "text"],
    "get": lambda s: [c.content for c in iter(lambda: s.get(10), None) if c.kind == "text"],
    "start": lambda s: s.start().wait(10) and None,
    "break": lambda s: next(iter(s), None) and None,
}

buffers = st.builds(
    BufferConfig,
    capacity=st.sampled_from([1, 2, 5, 50]),
    max_capacity=st.sampled_from([None, 64]),
    overflow=st.sampled_from(["block", "drop", "overwrite", "coalesce"]),
)
batches = st.builds(
    BatchConfig,
    size=st.sampled_from([1, 3, 7]),
    timeout=st.sampled_from([0, 0.001, None]),
    min_size=st.just(1),
    adaptive=st.booleans(),
)
options = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["direct", "buffered", "managed"]),
        "buffer": buffers,
        "batch": batches,
        "units": st.sampled_from([None, "word", "sentence", "line", "character"]),
        "rate": st.sampled_from([None, 50_000]),
        "flow": st.sampled_from([None, FlowConfig(slow_threshold=1e-5, errors="count")]),
        "metrics": st.sampled_from([None, MetricsConfig(interval=1e-6)]),
    }
)


@settings(max_examples=150)
@given(
    pieces=st.lists(st.text("ab. \né", min_size=1, max_size=9), max_size=40),
    options=options,
    drive=st.sampled_from(sorted(DRIVERS)),
)
def test_nothing_is_lost_or_made_up_whatever_the_options(
    pieces: list[str], options: dict[str, Any], drive: str
) -> None:
    stream = wrap(pieces, **options)
    texts: list[str] = []
    grouped: list[Any] = []
    numbers: list[Any] = []
    ends: list[Any] = []
    stream.on_text(texts.append).on_batch(grouped.append).on_end(ends.append)
    stream.on_metrics(numbers.append)
    shown = DRIVERS[drive](stream)
    stream._run.join(10)

    assert len(ends) == 1
    check_numbers(stream, numbers)
    if drive == "break":
        return
    text = "".join(pieces)
    assert (stream.outcome, ends[0].text) == ("completed", text)
    seen = "".join(texts)
    assert "".join(c.content for batch in grouped for c in batch) == seen
    assert shown is None or "".join(shown) == seen
    if options["mode"] == "direct" or options["buffer"].overflow in ("block", "coalesce"):
        assert seen == text


def check_numbers(stream: Stream, reported: list[Any]) -> None:
    metrics = stream.metrics
    accounted = metrics.chunks_delivered + metrics.chunks_dropped + metrics.chunks_merged
    assert metrics.chunks_received == accounted
    assert (metrics.done, metrics.buffer_size) == (True, 0)
    if metrics.time_spent is None:
        assert reported == []
        return
    assert metrics.time_spent.total == pytest.approx(metrics.duration_ms / 1000, abs=1e-6)
    assert [report.done for report in reported] == [False] * (len(reported) - 1) + [True]
