"""
Ollama's own chat API: one JSON object a line, the last with ``done: true`` and the counts.

Source: WIRE_FORMATS.md section 10.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.errors import ConfigurationError
from streamkit.providers.answered import Asked
from streamkit.providers.base import Decoder
from streamkit.providers.build import build_request, without_none
from streamkit.providers.dialect import Dialect, parse_object
from streamkit.providers.fields import settle_fields
from streamkit.providers.parts import arguments_of, check_messages, image_url_of, split_data_url
from streamkit.providers.roles import ROLES, check_roles
from streamkit.providers.shape import as_list, as_objects
from streamkit.providers.usage import OLLAMA, read_usage
from streamkit.request import Call, Request
from streamkit.wire.jsontext import encode, parse
from streamkit.wire.ndjson import NDJSONDecoder
from streamkit.wire.surrogates import clean, clean_deep

__all__ = ["OllamaChat", "split_parts"]

#: What the last line reports beside the counts: times in nanoseconds, and from ``/api/generate``
#: the tokens of prompt and answer.
_DETAILS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration", "context")


class OllamaChat(Dialect):
    """
    The dialect of ``/api/chat``. Tool calls come whole; the finish reason of one is ``stop``.

    The ``details`` of the usage are the durations, in nanoseconds. ``logprobs``, if asked for, are
    in the metadata of their text. An image is a text chunk without content, with ``image`` in its
    metadata: its ``data`` is base64.

    Thread safety: **confined**; one instance reads one attempt.
    """

    models_path = "/api/tags"

    def request(self, call: Call) -> Request:
        """
        ``POST {base}/api/chat``. ``think``, ``keep_alive`` and further options: ``extra_body``.

        Raises:
            ConfigurationError: A tool_choice other than ``auto``, an image that is no data URL
                (the server fetches none), or a message that cannot be converted or sent.
        """
        if call.tool_choice not in (None, "auto"):
            raise ConfigurationError("ollama has no tool_choice; give it fewer tools instead")
        messages = convert_messages(call.system, call.messages)
        return self._post("/api/chat", call, messages=messages, tools=call.tools)

    @override
    def prefill(self, call: Call, text: str) -> Call | None:
        """The call that makes the model go on with ``text``, its last message."""
        return self._prefilled(call, text)

    def decoder(self, *, max_event: int) -> Decoder[str]:
        """One JSON text per line."""
        return NDJSONDecoder(max_event=max_event)

    def feed(self, event: str) -> list[Chunk]:
        """
        One line -> its chunks.

        Raises:
            ProviderError: The line is an error; one that came with content waits in ``failure``.
            ProtocolError: The line is not JSON.
        """
        frame = parse(event)
        if frame.__class__ is not dict:
            return []
        # Nearly every line of an answer: text, not done, nothing else.
        message = frame.get("message")
        if (
            message.__class__ is dict
            and frame.get("done") is False
            and self.model
            and "logprobs" not in frame
            and "error" not in frame
        ):
            text = message.get("content")
            if text and text.__class__ is str and len(message) == 2 and "role" in message:
                return [Chunk(text, 0, 0.0, False, None, {}, "text", None, self.model)]
        return self._read(frame)

    def whole(self, body: bytes) -> list[Chunk] | None:
        """
        An answer made without streaming -> its chunks; None if the body is not one.

        Raises:
            ProviderError: The body is an error object.
        """
        frame = parse_object(body)
        if frame is None or not (frame.get("error") or isinstance(self._message(frame), dict)):
            return None
        return self._read(frame)

    def _post(self, path: str, call: Call, **fields: Any) -> Request:
        """The request to ``path``, with these fields and those that both of Ollama's APIs have."""
        options = without_none(
            num_predict=call.max_tokens,
            temperature=call.temperature,
            top_p=call.top_p,
            seed=call.seed,
            stop=call.stop,
        )
        body = without_none(
            model=call.model,
            stream=True,
            format=_format(call.response_format),
            options=options or None,
            **fields,
        )
        headers = {"Accept": "application/x-ndjson", **self._auth()}
        return build_request(self.endpoint, path, headers, body, call)

    def _message(self, frame: dict[str, Any]) -> Any:
        """Where a line holds its part of the answer."""
        return frame.get("message")

    def _read(self, frame: dict[str, Any]) -> list[Chunk]:
        self._identify(frame.get("model"), None)
        chunks: list[Chunk] = []
        message = self._message(frame)
        if isinstance(message, dict):
            self._read_message(message, chunks)
        if chunks and (logprobs := frame.get("logprobs")):
            chunks[-1].metadata["logprobs"] = clean_deep(logprobs)
        if frame.get("done") is True:
            self.finished = True
            details = {name: frame[name] for name in _DETAILS if frame.get(name) is not None}
            chunks += self._report_usage(read_usage(frame, OLLAMA), details)
            self._finish(frame.get("done_reason"), chunks)
        if error := frame.get("error"):
            if not chunks:
                raise self._failure(frame)
            self.failure = self._failure({"error": error})
            self.finished = True
        return chunks

    def _read_message(self, message: dict[str, Any], chunks: list[Chunk]) -> None:
        thinking, content = message.get("thinking"), message.get("content")
        if thinking and isinstance(thinking, str):
            chunks.append(self._chunk(thinking, "reasoning"))
        if content and isinstance(content, str):
            chunks.append(self._chunk(content, "text"))
        for data in as_list(message.get("images")):
            if data and isinstance(data, str):
                chunks.append(self._chunk("", "text", {"image": {"data": clean(data)}}))
        for item in as_objects(message.get("tool_calls")):
            function = item.get("function")
            if isinstance(function, dict):
                call = self._calls.open()
                call.learn(id=item.get("id"), name=function.get("name"))
                given = function.get("arguments")
                text = encode(given) if isinstance(given, dict) else given
                chunks.append(self._call_chunk(call, text if isinstance(text, str) else ""))


def convert_messages(
    system: str | None, messages: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """
    Messages in OpenAI's form -> Ollama's; what is in its form already passes.

    Parts become one text and a list of images, arguments become objects, and a tool's result gets
    the name of the tool, which Ollama's templates ask for, from the call it answers: see Asked, as
    Ollama's calls may have no ids.

    Raises:
        ConfigurationError: A tool call whose arguments are not JSON, a tool's result that answers
            no call before it, a part that is neither text nor an image with a data URL, or what
            check_messages, settle_fields or check_roles refuses.
    """
    messages = list(messages)
    check_messages(messages)
    # "control" turns on what Granite thinks.
    check_roles(messages, (*ROLES, "control"), ids=False)
    messages = settle_fields("ollama", messages, "images", "thinking", "tool_name")
    converted: list[dict[str, Any]] = []
    asked = Asked()
    if system is not None:
        converted.append({"role": "system", "content": system})
    for number, message in enumerate(messages):
        plain = dict(message)
        if plain.get("role") == "developer":
            plain["role"] = "system"
        content = plain.get("content")
        if content is None:
            plain["content"] = ""
        elif not isinstance(content, str):
            text, images = split_parts(content)
            plain.update({"content": text, **({"images": images} if images else {})})
        if plain.get("tool_calls"):
            asked.ask(plain["tool_calls"])
            plain["tool_calls"] = [_convert_call(call) for call in plain["tool_calls"]]
        if plain.get("role") == "tool":
            plain.pop("name", None)
            plain |= _answered(message, number, asked)
        converted.append(plain)
    return converted


def _convert_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = dict(call.get("function") or {})
    function["arguments"] = arguments_of(function)
    return {**call, "function": function}


def _answered(message: Mapping[str, Any], number: int, asked: Asked) -> dict[str, Any]:
    """The tool a result is of; its call may be unknown if it has an id: Ollama takes that."""
    id, name = asked.answer(message)
    if not (id or name):
        raise ConfigurationError(
            f"message {number} answers no tool call before it; ollama needs the tool's name"
        )
    return {"tool_name": name} if name else {}


def split_parts(parts: Iterable[Any]) -> tuple[str, list[str]]:
    """
    Parts in OpenAI's form -> one text, and the images as base64.

    Raises:
        ConfigurationError: A part that is neither text nor an image with a data URL.
    """
    texts, images = [], []
    for part in parts:
        if part.get("type") == "image_url":
            data = split_data_url(image_url_of(part))
            if data is None:
                raise ConfigurationError("ollama takes images as data URLs only, it fetches none")
            images.append(data[1])
        elif part.get("type") == "text":
            texts.append(str(part.get("text")))
        else:
            raise ConfigurationError(
                f"ollama takes text and image_url parts, got {str(part.get('type'))[:40]!r}"
            )
    return "\n".join(texts), images


def _format(response_format: Mapping[str, Any] | None) -> Any:
    """OpenAI's object -> ``"json"`` or a JSON schema; a bare schema passes."""
    if response_format is None or response_format.get("type") == "text":
        return None
    if response_format.get("type") == "json_object":
        return "json"
    if response_format.get("type") == "json_schema":
        named = response_format.get("json_schema")
        return named.get("schema") if isinstance(named, Mapping) else named
    return response_format
