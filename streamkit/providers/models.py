"""
Lists of models: one reader for the shapes services give them.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from streamkit.errors import LimitExceeded, ProtocolError
from streamkit.wire.jsontext import parse
from streamkit.wire.surrogates import clean

__all__ = ["next_page", "read_names"]

#: Members that hold the list: OpenAI and most others, Gemini and Ollama and Cohere, Bedrock.
_LISTS = ("data", "models", "modelSummaries")
#: Members of an entry that name it, the first that does wins.
_NAMES = ("id", "name", "modelId", "model")
#: Where a page names the one after it, and the query parameter that asks for that.
_CURSORS = {
    "nextPageToken": "pageToken",  # Gemini
    "next_page_token": "page_token",  # Cohere
    "last_id": "after_id",  # Anthropic, where has_more says that there is one
}


def read_names(body: bytes) -> list[str]:
    """
    The body of a list of models -> their names, in its order.

    >>> read_names(b'{"models": [{"name": "models/gemini-2.5-flash"}, {"name": "llama3"}]}')
    ['gemini-2.5-flash', 'llama3']

    Raises:
        ProtocolError: It holds no list of models.
    """
    try:
        value = parse(body.decode("utf-8", "replace"))
    except LimitExceeded:
        raise
    except ProtocolError:
        raise ProtocolError("the list of models is no JSON", data=body[:200]) from None
    if isinstance(value, dict):
        value = next((value[key] for key in _LISTS if isinstance(value.get(key), list)), None)
    if not isinstance(value, list):
        raise ProtocolError("the list of models is no list", data=body[:200])
    return [name for entry in value if (name := _name_of(entry))]


def next_page(url: str, body: bytes) -> str | None:
    """
    The address of the next page of a list that came from ``url``; None at its end.

    >>> next_page("https://example.com/models", b'{"models": [], "nextPageToken": "a/b"}')
    'https://example.com/models?pageToken=a%2Fb'
    """
    try:
        value = parse(body.decode("utf-8", "replace"))
    except ProtocolError:  # a list in a form of its own has no pages
        return None
    if not isinstance(value, dict) or value.get("has_more") is False:
        return None
    for member, parameter in _CURSORS.items():
        cursor = value.get(member)
        if isinstance(cursor, str) and cursor and (member != "last_id" or "has_more" in value):
            return f"{url}{'&' if '?' in url else '?'}{parameter}={quote(clean(cursor), safe='')}"
    return None


def _name_of(entry: Any) -> str:
    if not isinstance(entry, dict):
        return ""
    found = next((entry[key] for key in _NAMES if isinstance(entry.get(key), str)), "")
    return clean(found).removeprefix("models/")
