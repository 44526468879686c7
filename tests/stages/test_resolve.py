"""What users may give to transform= and validate=."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.chunk import Chunk
from streamkit.errors import ChunkRejected, ConfigurationError
from streamkit.stages import STAGES, Transform, inline_citations
from streamkit.stages.basic import StageMaker
from streamkit.stages.resolve import transform_stages, validate_stages
from streamkit.stages.think import Think


def test_nothing_gives_no_stage() -> None:
    assert transform_stages(None) == validate_stages([]) == []


def test_a_function_is_wrapped_for_its_keyword() -> None:
    (transform,) = transform_stages(lambda chunk: Chunk(chunk.content + "!"))
    assert transform.feed([Chunk("a")]) == [Chunk("a!")]
    (validate,) = validate_stages(lambda chunk: False)
    assert validate.feed([Chunk("a")]) == []
    assert isinstance(validate.error, ChunkRejected)  # type: ignore[attr-defined]


def test_each_call_makes_fresh_stages_of_a_feature() -> None:
    given: list[Any] = [inline_citations(), "think", Transform(print)]
    first, second = transform_stages(given), transform_stages(given)
    assert len(first) == 3
    assert all(a is not b for a, b in zip(first, second, strict=True))


def test_a_stage_is_used_as_it_is() -> None:
    stage = Think()
    assert transform_stages(stage) == validate_stages((stage,)) == [stage]


def test_anything_else_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="transform must be callable, a stage or a list"):
        transform_stages([print, 5])
    with pytest.raises(ConfigurationError, match=r"validate must be one of annotate.*got 'thonk'"):
        validate_stages("thonk")


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_of_the_table_passes_plain_text_on(name: str) -> None:
    stage = STAGES[name]()
    assert stage is not STAGES[name]()
    out = stage.feed([Chunk("Plain "), Chunk("text.\n")]) + stage.flush()
    assert "".join(chunk.content for chunk in out) == "Plain text.\n"


def test_a_feature_that_makes_no_stage_is_told_by_its_name() -> None:
    def broken() -> Any:
        raise TypeError("theirs")

    with pytest.raises(ConfigurationError, match=r"stage\(\) of StageMaker raised TypeError: the"):
        transform_stages(StageMaker(broken))
    with pytest.raises(ConfigurationError, match=r"validate: stage\(\) of .* give a stage, got 5"):
        validate_stages([StageMaker(lambda: 5)])  # type: ignore[arg-type, return-value]
