"""
llama.cpp's server: OpenAI's chat, and answers that can be taken up where the connection broke.

A request with the header ``X-Conversation-Id`` (``extra_headers``) has the server keep the last
4 MiB of the body, up to 300 s beyond its end, and generate on whether anybody reads or not. So
closing the stream does not end the answer then; a new request with the same id does.

Source: llama.cpp, tools/server/README-dev.md, "Resumable streaming", and server-stream.cpp, as of
July 2026 (ggml-org/llama.cpp#23226).
"""

from __future__ import annotations

from urllib.parse import quote

from typing_extensions import override

from streamkit.providers.base import Resume
from streamkit.providers.build import fetching
from streamkit.providers.openai import OpenAIChat
from streamkit.request import Request

__all__ = ["LlamaCppChat"]

CONVERSATION = "x-conversation-id"


class LlamaCppChat(OpenAIChat):
    """
    The chat dialect of llama.cpp's server.

    Thread safety: **confined**; one instance reads one attempt.
    """

    @override
    def resume(self, request: Request, received: int) -> Resume | None:
        """
        ``GET {base}/stream?conv_id=ID&from=N``, N the bytes received; None without the header.

        The server answers 404 if it has forgotten the id, 400 if the byte has left its buffer.
        """
        named = (id for name, id in request.headers.items() if name.lower() == CONVERSATION)
        id = next(named, None)
        if id is None:
            return None
        # Header values are sent as Latin-1: so the server knows the id by these bytes.
        place = f"/stream?conv_id={quote(id, safe='', encoding='latin-1')}&from={received}"
        return Resume(fetching(request, self.endpoint.base_url + place), "offset")
