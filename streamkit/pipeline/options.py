"""The options of a stream: each layer's own options in one frozen tree, checked when it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

from streamkit.callback import check_callable
from streamkit.deadline import Timeouts
from streamkit.errors import ConfigurationError
from streamkit.flow.batch import BatchConfig
from streamkit.flow.bounds import BufferConfig
from streamkit.flow.limiter import RateConfig
from streamkit.flow.watermark import FlowConfig
from streamkit.number import is_number
from streamkit.observe.cost import Price, Prices, require_table
from streamkit.observe.metrics import MetricsConfig
from streamkit.pipeline.account import Tokenizer
from streamkit.pipeline.names import Mode, nearest
from streamkit.recovery import RecoveryConfig, RetryConfig
from streamkit.stages.resolve import transform_stages, validate_stages
from streamkit.stages.stop import StopConfig
from streamkit.text import SEGMENTERS, Segmenter

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["USUAL_BUFFER", "Limits", "StreamOptions"]

#: The buffer of those who gave none. It is known by its identity: an equal one was chosen.
USUAL_BUFFER = BufferConfig()


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """
    How much one stream may bring, in bytes, and how much of it may be wrong.

    Images come as one event of some MB (WIRE_FORMATS.md 1.2), which sets the first default; the
    others are PROMISES.md P60 and P63.

    Thread safety: **immutable**.

    Args:
        event: One line or event on the wire.
        answer: The whole answer, all kinds of content and their metadata together.
        error_body: How much of an HTTP error body is read.
        invalid_events: Events of one answer that cannot be read (no JSON, or nested too deep) and
            are left out; the next one is a ProtocolError, and with 0 the first. Each may have held
            text. They are counted in ``Metrics.counters["invalid_events"]``.
        invalid_utf8: Pieces of one answer that are no UTF-8 and come as U+FFFD; the next one is a
            ProtocolError, behind all events before it. None lets any number pass. They are counted
            in ``Metrics.counters["invalid_utf8"]``. Bedrock's binary frames, which have checksums,
            know neither bound nor count.

    Raises:
        ConfigurationError: A bound in bytes below 1, or a number below 0.
    """

    event: int = 16 * 1024 * 1024
    answer: int = 64 * 1024 * 1024
    error_body: int = 64 * 1024
    invalid_events: int = 0
    invalid_utf8: int | None = None

    def __post_init__(self) -> None:
        for entry in fields(self):
            name, value = entry.name, getattr(self, entry.name)
            least = 0 if name.startswith("invalid") else 1
            if value is None and name == "invalid_utf8":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigurationError(f"limit {name} must be at least {least}, got {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamOptions:
    """
    Everything that shapes one stream.

    Thread safety: **immutable**; vary with ``dataclasses.replace``.

    Args:
        mode: ``direct`` (no thread, no buffer: what is said of the buffer, its overflow included,
            has no effect), ``buffered`` or ``managed``.
        buffer: The ring between reader and consumer. With ``rate`` and no buffer given its overflow
            is ``coalesce``, so that the read is not slowed to the pace of the display.
        batch: How on_batch and batches() group; None groups nothing by itself.
        flow: Water marks, in managed mode; None or ``enabled=False`` switches them off.
        metrics: How often on_metrics is called; None never calls it.
        timeout: The five clocks.
        retry: When a request is sent again before the first content; None never.
        recovery: How an answer that broke after its first content is carried on; None never.
        limits: Bounds on what a provider may send.
        think: Whether thinking inside the text, between ``<think>`` and ``</think>``, becomes
            reasoning. None leaves it to the provider's row in the table.
        price: What Result.cost is reckoned by: Prices of the model, a function of usage, provider
            and model that gives US dollars or None, or True for the table of the extra ``prices``.
            None is the provider's own figure, where it reports one.
        tokenizer: Text -> how many tokens, or the tokens. It counts prompt and answer of a stream
            whose provider reported no usage at all, once, when the Result is final, in the thread
            that asks for it; tools and images are left out. Counts of the provider are never mixed
            with ours, also where the stream ended before the last of them: Anthropic's first ones
            hold the whole prompt, but hardly any output.
        units: What a text chunk holds: a name in SEGMENTERS, a function that makes a Segmenter for
            each stream, or a Segmenter, which serves one stream. None leaves the text as the
            service cut it.
        strip: Whether units lose the blanks around them (a word keeps the one that ends it):
            together they are the text then no more. A Segmenter of yours sees to that itself.
        max_wait: Seconds that text waits for the end of its unit, above 0; None as long as it
            takes. In ``direct`` mode the time is looked at when the next bytes come, and under
            ``wrap()``, in every mode, when the next item comes.
        rate: How fast the answer is handed out; None as it comes.
        transform: What changes the chunks that are shown: functions, Transform, what makes a stage,
            or a list of them. The Result keeps the model's own text.
        validate: What refuses chunks: functions, Validate, what makes a stage, or a list of them.
        stop_when: Where the answer ends before the model ends it: a str or several, a function of
            the text so far, or a StopConfig.
        progress_interval: Seconds between two calls of on_progress, at least 0. 0.1 is the seeds'.
        on_metrics: Called as the stream's callback of that name is, where it is given no other.
        on_error: The same.

    Raises:
        ConfigurationError: A value that is not of its class; the short forms are for keywords.
    """

    mode: Mode = "buffered"
    buffer: BufferConfig = USUAL_BUFFER
    batch: BatchConfig | None = field(default_factory=BatchConfig)
    flow: FlowConfig | None = field(default_factory=FlowConfig)
    metrics: MetricsConfig | None = field(default_factory=MetricsConfig)
    timeout: Timeouts = field(default_factory=Timeouts)
    retry: RetryConfig | None = field(default_factory=RetryConfig)
    recovery: RecoveryConfig | None = None
    limits: Limits = field(default_factory=Limits)
    think: bool | None = None
    price: Price | None = None
    tokenizer: Tokenizer | None = None
    units: str | Segmenter | Callable[[], Segmenter] | None = None
    strip: bool = False
    max_wait: float | None = None
    rate: RateConfig | None = None
    transform: Any = None
    validate: Any = None
    stop_when: StopConfig | str | Sequence[str] | Callable[[str], object] | None = None
    progress_interval: float = 0.1
    on_metrics: Callable[[Any], Any] | None = None
    on_error: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ConfigurationError(
                f"mode must be one of {', '.join(get_args(Mode))}, got {self.mode!r}"
            )
        if not isinstance(self.think, (bool, NoneType)):
            raise ConfigurationError(f"think must be True, False or None, got {self.think!r}")
        for name, kind in _CONFIGS.items():
            value = getattr(self, name)
            if not isinstance(value, kind) and not (value is None and name in _OPTIONAL):
                raise ConfigurationError(f"{name} must be a {kind.__name__}, got {value!r}")
        if self.price is True:
            require_table()
        elif not (self.price is None or callable(self.price) or isinstance(self.price, Prices)):
            raise ConfigurationError(
                f"price must be Prices, True or a function, got {self.price!r}"
            )
        if self.tokenizer is not None and not callable(self.tokenizer):
            raise ConfigurationError(f"tokenizer must be a function, got {self.tokenizer!r}")
        check_callable(tokenizer=self.tokenizer)
        if callable(self.price):
            check_callable(price=self.price)
        self._check_shape()

    def _check_shape(self) -> None:
        """What is done to the chunks, in its one form."""
        _check_units(self.units)
        if not isinstance(self.strip, bool):
            raise ConfigurationError(f"strip must be True or False, got {self.strip!r}")
        if self.strip and not isinstance(self.units, str):
            raise ConfigurationError(f"strip needs units that have a name, got {self.units!r}")
        if not (is_number(self.progress_interval) and self.progress_interval >= 0):
            raise ConfigurationError(
                f"progress_interval must be seconds, 0 or more, got {self.progress_interval!r}"
            )
        check_callable(on_metrics=self.on_metrics, on_error=self.on_error)
        if self.max_wait is not None and not (is_number(self.max_wait) and self.max_wait > 0):
            raise ConfigurationError(f"max_wait must be seconds over 0, got {self.max_wait!r}")
        if self.max_wait is not None and self.units is None:
            raise ConfigurationError(f"max_wait needs units, got none and {self.max_wait!r}")
        transform_stages(self.transform)
        validate_stages(self.validate)
        if self.stop_when is not None:
            object.__setattr__(self, "stop_when", StopConfig.of(self.stop_when))
        if self.rate is not None and self.buffer is USUAL_BUFFER:
            object.__setattr__(self, "buffer", replace(self.buffer, overflow="coalesce"))

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Self:
        """
        The options from settings that were kept in YAML, TOML or JSON.

        >>> settings = {"consumer_type": "managed", "batch_config": {"size": 5, "timeout_ms": 50}}
        >>> StreamOptions.from_mapping(settings).batch.timeout
        0.05

        Three structures, which may be mixed; times are in milliseconds, or say their unit:

        - ``consumer_type`` (direct, buffered, managed), ``buffer_config`` (capacity,
          overflow_strategy), ``batch_config`` (size, timeout_ms, min_size, max_size),
          ``flow_control`` (enabled, slow_threshold_ms, backpressure_threshold), ``metrics``
          (enabled, interval_ms), ``on_metrics``
        - ``track_metrics``, ``on_metrics``, ``transform_chunk``, ``validate_chunk``,
          ``buffer_chunks`` (n: batches of exactly n), ``stream_recovery`` (the switch) and
          ``recovery`` (strategy, max_retries), ``on_error`` (called with status and body),
          ``timeout`` (the clock ``total``)
        - ``optimization: {streaming: {enabled, buffer_type, progress_interval, rate_limit}}``, with
          durations as ``"100ms"`` and 0 for no rate limit; ``enabled: false`` leaves the defaults

        Raises:
            ConfigurationError: A name nobody knows, a value of the wrong type or an impossible one,
                two keys that contradict each other.
        """
        from streamkit.pipeline.mapping import read_mapping  # for who has such settings

        return cls(**read_mapping(given))


_CONFIGS: Mapping[str, type] = {
    "buffer": BufferConfig,
    "batch": BatchConfig,
    "flow": FlowConfig,
    "metrics": MetricsConfig,
    "timeout": Timeouts,
    "retry": RetryConfig,
    "recovery": RecoveryConfig,
    "limits": Limits,
    "rate": RateConfig,
}
_OPTIONAL = frozenset({"batch", "flow", "metrics", "retry", "recovery", "rate"})


def _check_units(units: Any) -> None:
    if units is None or (isinstance(units, str) and units in SEGMENTERS):
        return
    made = units() if callable(units) else units
    if not all(callable(getattr(made, name, None)) for name in ("feed", "flush")):
        close = nearest(units, SEGMENTERS) if isinstance(units, str) else ""
        raise ConfigurationError(
            f"units must be one of {', '.join(SEGMENTERS)}, or a Segmenter, got {made!r}{close}"
        )
