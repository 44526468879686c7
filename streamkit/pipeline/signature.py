"""
The keywords of the public calls, as types: a closed set, which type checkers and editors know.

What their values become is in keywords.py (options), in ``request.build_call`` (what is asked) and
in ``providers.registry.resolve`` (where).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    import requests

    from streamkit.chunk import Attempt, Chunk, Result
    from streamkit.deadline import Timeouts
    from streamkit.flow.batch import BatchConfig
    from streamkit.flow.bounds import BufferConfig
    from streamkit.flow.limiter import RateConfig
    from streamkit.flow.watermark import FlowConfig
    from streamkit.observe.cost import Price
    from streamkit.observe.metrics import Metrics, MetricsConfig
    from streamkit.observe.progress import Progress
    from streamkit.pipeline.account import Tokenizer
    from streamkit.pipeline.names import Mode
    from streamkit.pipeline.options import StreamOptions
    from streamkit.recovery import RecoveryConfig, RetryConfig
    from streamkit.stages.stop import StopConfig
    from streamkit.text import Segmenter

__all__ = [
    "AllKeywords",
    "ClientKeywords",
    "PlaceKeywords",
    "RequestKeywords",
    "ShapeKeywords",
    "StreamKeywords",
]


class PlaceKeywords(TypedDict, total=False):
    """Keywords that say where requests go, beside the provider."""

    api: str | None
    api_key: str | None
    base_url: str | None
    session: requests.Session | None
    headers: Mapping[str, str] | None
    allow_http: bool | None


class ClientKeywords(PlaceKeywords, total=False):
    """Keywords that a Client takes once."""

    provider: str | None


class RequestKeywords(TypedDict, total=False):
    """Keywords that say what is asked."""

    system: str | None
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    stop: str | Sequence[str] | None
    seed: int | None
    tools: Sequence[Mapping[str, Any]] | None
    tool_choice: str | Mapping[str, Any] | None
    response_format: Mapping[str, Any] | None
    extra_body: Mapping[str, Any] | None
    extra_headers: Mapping[str, str] | None


class ShapeKeywords(TypedDict, total=False):
    """Keywords that shape a stream, wherever it comes from."""

    mode: Mode
    options: StreamOptions | None
    buffer: BufferConfig | Mapping[str, Any] | int | bool
    overflow: str | Callable[..., Any] | None
    batch: BatchConfig | Mapping[str, Any] | bool | None
    flow: FlowConfig | Mapping[str, Any] | bool | None
    metrics: MetricsConfig | Mapping[str, Any] | bool | None
    timeout: Timeouts | Mapping[str, Any] | float | bool | None
    think: bool | None
    units: str | Segmenter | Callable[[], Segmenter] | None
    strip: bool
    max_wait: float | None
    rate: RateConfig | Mapping[str, Any] | float | None
    transform: Any
    validate: Any
    stop_when: StopConfig | str | Sequence[str] | Callable[[str], object] | None
    price: Price | Mapping[str, float] | bool | None
    tokenizer: Tokenizer | None
    on_text: Callable[[str], Any] | None
    on_chunk: Callable[[Chunk], Any] | None
    on_batch: Callable[[list[Chunk]], Any] | None
    on_metrics: Callable[[Metrics], Any] | None
    on_progress: Callable[[Progress], Any] | None
    on_error: Callable[[BaseException], Any] | None
    on_end: Callable[[Result], Any] | None


class StreamKeywords(RequestKeywords, ShapeKeywords, total=False):
    """Keywords of one stream from a provider."""

    retry: RetryConfig | Mapping[str, Any] | bool | None
    recovery: RecoveryConfig | Mapping[str, Any] | bool | None
    on_retry: Callable[[Attempt], Any] | None
    record: str | PathLike[str] | None


class AllKeywords(ClientKeywords, StreamKeywords, total=False):
    """What ``stream()`` takes."""
