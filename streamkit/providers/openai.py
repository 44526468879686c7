"""
OpenAI Chat Completions, and whatever speaks it.

The format is a lingua franca with accents: a delta may lack any member, hold null or "" in it,
repeat its role, or carry reasoning under one of three names. So the reader asks nothing of a frame
but that it is a JSON object, and takes what it knows.

Source: WIRE_FORMATS.md section 2, from recordings of some twenty services.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamkit.chunk import Chunk
from streamkit.providers.base import Decoder
from streamkit.providers.build import build_request, without_none
from streamkit.providers.calls import OpenCall, word
from streamkit.providers.dialect import AnswerDecoder, Dialect, parse_object
from streamkit.providers.openai_delta import reasoning_of, runs_of, says_more
from streamkit.providers.usage import CHAT, read_usage
from streamkit.request import Call, Request, Secret
from streamkit.wire.jsontext import encode, parse

if TYPE_CHECKING:
    from streamkit.wire.sse import Event

__all__ = ["OpenAIChat"]


class OpenAIChat(Dialect):
    """
    The chat dialect. Choices other than the first are left out: their texts would mix.

    Thread safety: **confined**; one instance reads one attempt.
    """

    # Gateways append [DONE] to whatever they got, an empty or a broken answer too.
    terminal_is_complete = False

    def request(self, call: Call) -> Request:
        """
        ``POST {base}/chat/completions``.

        ``max_tokens`` goes as ``max_completion_tokens`` to the provider ``openai``, whose newer
        models refuse the old name, and as ``max_tokens`` to all others, which know only that.

        Raises:
            ConfigurationError: A header or the body cannot be sent.
        """
        messages = [*call.messages]
        if call.system is not None:
            messages.insert(0, {"role": "system", "content": call.system})
        limit = "max_completion_tokens" if self.endpoint.provider == "openai" else "max_tokens"
        body = without_none(
            model=call.model,
            messages=messages,
            stream=True,
            stream_options={"include_usage": True},
            temperature=call.temperature,
            top_p=call.top_p,
            stop=call.stop,
            seed=call.seed,
            tools=call.tools,
            tool_choice=call.tool_choice,
            response_format=call.response_format,
        )
        if call.max_tokens is not None:
            body[limit] = call.max_tokens
        headers = {"Accept": "text/event-stream"}
        if self.endpoint.api_key is not None:
            headers["Authorization"] = Secret(f"Bearer {self.endpoint.api_key}")
        return build_request(self.endpoint, "/chat/completions", headers, body, call)

    def decoder(self, *, max_event: int) -> Decoder[Event]:
        """Server-sent events; a clean end of the body closes the last."""
        return AnswerDecoder(max_event=max_event)

    def feed(self, event: Event) -> list[Chunk]:
        """
        One event -> its chunks.

        Raises:
            ProviderError: The event is an error.
            ProtocolError: The event is not JSON.
        """
        data = event.data
        if data[:1] != "{" or event.event == "error":
            return self._read_odd(event)
        frame = parse(data)
        # Nearly every event of an answer is one choice whose delta is text and nothing else. It is
        # read here, without the questions that all other frames are asked below.
        try:
            (choice,) = frame["choices"]
            delta = choice["delta"]
            text = delta["content"]
            plain = (
                text.__class__ is str
                and not choice.get("finish_reason")
                and not choice.get("index")
                and (
                    len(delta) == 1 or (len(delta) == 2 and "role" in delta) or not says_more(delta)
                )
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            plain = False
        if (
            plain
            and text
            and self.response_id
            and self.model
            and frame.get("usage") is None
            and not frame.get("error")
            and "x_groq" not in frame
        ):
            return [
                Chunk(text, 0, 0.0, False, None, {}, "text", None, self.model, self.response_id)
            ]
        return self._read(frame, "delta")

    def whole(self, body: bytes) -> list[Chunk] | None:
        """
        A ``chat.completion`` object -> its chunks; None if the body is not one.

        Raises:
            ProviderError: The body is an error object.
        """
        answer = parse_object(body)
        if answer is None or not (_is_error(answer) or _is_answer(answer)):
            return None
        chunks = self._read(answer, "message")
        self.finished = True
        return chunks

    def _read_odd(self, event: Event) -> list[Chunk]:
        """What is no plain frame: the end mark, blank data, errors (``event: error``, Groq)."""
        data = event.data.strip()
        if event.event == "error":
            raise self._failure(data)
        if data.startswith("[DONE]"):
            self.finished = True
            return []
        frame = parse(data) if data else None
        return self._read(frame, "delta") if isinstance(frame, dict) else []

    def _read(self, frame: dict[str, Any], member: str) -> list[Chunk]:
        """Any frame; a choice holds its text in ``member``: delta, or message in a whole answer."""
        if _is_error(frame):
            raise self._failure(frame)
        self._identify(frame.get("model"), frame.get("id"))
        chunks: list[Chunk] = []
        finish = None
        choices = frame.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and not choice.get("index"):
                delta = choice.get(member)
                if isinstance(delta, dict):
                    self._read_delta(delta, chunks)
                finish = choice.get("finish_reason") or finish
        usage = frame.get("usage")
        if not usage and "x_groq" in frame:
            extra = frame["x_groq"]
            usage = extra.get("usage") if isinstance(extra, dict) else None
        if isinstance(usage, dict) and usage:
            chunks += self._report_usage(read_usage(usage, CHAT))
        self._finish(finish, chunks)
        return chunks

    def _read_delta(self, delta: dict[str, Any], chunks: list[Chunk]) -> None:
        reasoning = reasoning_of(delta)
        if reasoning:
            chunks.append(self._chunk(reasoning, "reasoning"))
        content = delta.get("content")
        if content:
            for kind, text in runs_of(content):
                chunks.append(self._chunk(text, kind))
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            chunks.append(self._chunk(refusal, "refusal"))
        audio = delta.get("audio")
        transcript = audio.get("transcript") if isinstance(audio, dict) else None
        if transcript and isinstance(transcript, str):
            chunks.append(self._chunk(transcript, "text"))
        if delta.get("tool_calls") or delta.get("function_call"):
            chunks += self._read_calls(delta)

    def _read_calls(self, delta: dict[str, Any]) -> list[Chunk]:
        """One chunk per call, however many fragments of it an event holds."""
        found: dict[OpenCall, list[str]] = {}
        calls = delta.get("tool_calls")
        for position, fragment in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(fragment, dict):
                name, text = _read_function(fragment.get("function"))
                call = self._call_of(fragment, position, name, text)
                call.learn(id=fragment.get("id"), name=name, arguments=text)
                found.setdefault(call, []).append(text)
        old = delta.get("function_call")
        if isinstance(old, dict) and old:
            call = self._calls.get("function_call") or self._calls.open("function_call")
            name, text = _read_function(old)
            call.learn(name=name)
            found.setdefault(call, []).append(text)
        return [self._call_chunk(call, "".join(texts)) for call, texts in found.items()]

    def _call_of(self, fragment: dict[str, Any], position: int, name: str, text: str) -> OpenCall:
        """
        The call a fragment belongs to: by index, else by id, else by its place in the list.

        Some services number every call 0, so a new id with a name begins a call at a used index.
        """
        index = fragment.get("index")
        numbered = isinstance(index, int)
        place = index if numbered else ("position", position)
        id = word(fragment.get("id"))
        identified = (index if numbered else "id", id)
        if id and (call := self._calls.get(identified)):
            return call
        call = self._calls.get(place)
        if call is None or (id and not numbered) or (name and call.is_over(id, name, text)):
            call = self._calls.open(place, identified)
        return call


def _read_function(function: Any) -> tuple[str, str]:
    """The name, and the fragment of the arguments."""
    if not isinstance(function, dict):
        return "", ""
    arguments = function.get("arguments")
    if isinstance(arguments, dict):  # not the format, but one meaning only
        arguments = encode(arguments)
    return word(function.get("name")), arguments if isinstance(arguments, str) else ""


def _is_error(frame: dict[str, Any]) -> bool:
    """An error under status 200; ``object: error`` is vLLM's older form."""
    return bool(frame.get("error")) or frame.get("object") == "error"


def _is_answer(frame: dict[str, Any]) -> bool:
    choices = frame.get("choices")
    return isinstance(choices, list) and any(
        isinstance(choice, dict) and isinstance(choice.get("message"), dict) for choice in choices
    )
