"""
Bedrock's InvokeModel: a model's own request and events, in AWS event-stream frames.

Those of Anthropic's models are read and made here: the Messages API without its model and stream
fields. Each event is a ``chunk`` whose bytes, in base64, are an event of that API.

Source: WIRE_FORMATS.md sections 4 and 13; the official SDK, anthropic 2.11.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.errors import ConfigurationError, ProtocolError, ProviderError
from streamkit.providers.anthropic import AnthropicMessages
from streamkit.providers.aws import (
    EVENT_STREAM,
    authorized,
    aws_failure,
    model_path,
    problem_of,
)
from streamkit.providers.base import Decoder
from streamkit.request import Call, Request, Secret
from streamkit.wire.eventstream import BinaryEvent, EventStreamDecoder
from streamkit.wire.jsontext import parse
from streamkit.wire.sse import Event

__all__ = ["BedrockInvoke"]

VERSION = "bedrock-2023-05-31"

#: What Bedrock itself counted and measured, on the last event of the model.
METRICS = "amazon-bedrock-invocationMetrics"


class BedrockInvoke(AnthropicMessages):
    """
    The dialect of ``invoke-with-response-stream``, for Anthropic's models.

    Thread safety: **confined**; one instance reads one attempt.
    """

    models_path = None

    @override
    def request(self, call: Call) -> Request:
        """
        ``POST {base}/model/{model}/invoke-with-response-stream``; the model is an id or an ARN.

        Raises:
            ConfigurationError: A model of another family, or as AnthropicMessages and, without a
                key, ``aws.authorized``.
        """
        if not _may_be_anthropic(call.model):
            raise ConfigurationError(
                'bedrock\'s api="invoke" speaks to models of Anthropic alone, '
                f'got {call.model[:80]!r}; use api="converse"'
            )
        # The fields of the Messages API that are elsewhere here: None removes them.
        own = {"model": None, "stream": None, "anthropic_version": VERSION}
        request = super().request(replace(call, extra_body={**own, **(call.extra_body or {})}))
        path = model_path(call.model) + "/invoke-with-response-stream"
        return authorized(replace(request, url=self.endpoint.base_url + path), self.endpoint)

    @override
    def decoder(self, *, max_event: int) -> Decoder[Any]:
        """AWS event-stream frames."""
        return EventStreamDecoder(max_event=max_event)

    @override
    def feed(self, event: Any) -> list[Chunk]:
        """
        One BinaryEvent -> its chunks; an unknown type gives none.

        Raises:
            ProviderError: The event is an exception, or the event in it an error.
            ProtocolError: Its payload is not JSON, or does not hold base64 of JSON.
        """
        if event.headers.get(":event-type") == "chunk":
            inner = _inner(event)
            return [] if inner is None else super().feed(Event("message", inner))
        problem = problem_of(event)
        if problem is not None:
            raise self._failure(problem)
        return []

    @override
    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """An HTTP error response -> the exception for it; never raises."""
        return aws_failure(self.endpoint, status, headers, body)

    @override
    def _auth(self) -> dict[str, str]:
        key = self.endpoint.api_key
        bearer = {} if key is None else {"Authorization": Secret(f"Bearer {key}")}
        return {"Accept": EVENT_STREAM, **bearer}

    @override
    def _read(self, frame: dict[str, Any]) -> list[Chunk]:
        chunks = super()._read(frame)
        metrics = frame.get(METRICS)
        if metrics and isinstance(metrics, dict):
            chunks += self._report_usage(self._usage, {METRICS: metrics})
        return chunks


def _may_be_anthropic(model: str) -> bool:
    """
    Whether a model is Anthropic's, or an ARN that does not tell.

    >>> [_may_be_anthropic(m) for m in ("us.anthropic.claude-3", "us.amazon.nova-lite-v1:0")]
    [True, False]
    """
    names = model.rpartition("/")[2].split(".")
    return len(names) == 1 or "anthropic" in names[:2]


def _inner(event: BinaryEvent) -> str | None:
    """The event of the model; None if there is none. Some mock servers leave the wrapping out."""
    text = event.payload.decode("utf-8", "replace")
    frame = parse(text)
    coded = frame.get("bytes") if isinstance(frame, dict) else None
    if not isinstance(coded, str):
        return text if isinstance(frame, dict) and "type" in frame else None
    try:
        return a2b_base64(coded).decode("utf-8", "replace")
    except ValueError:
        pass
    raise ProtocolError("a chunk must hold base64", data=event.payload[:200])
