"""
A ``file`` part in OpenAI's form -> a block of the Messages API.

Source: the official SDK, anthropic 2.11.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from streamkit.errors import ConfigurationError
from streamkit.providers.parts import split_data_url

__all__ = ["document_of"]

Json = dict[str, Any]


def document_of(part: Mapping[str, Any]) -> Json:
    """
    A ``document`` block, or an ``image`` block for an image.

    >>> document_of({"type": "file", "file": {"file_id": "file_1"}})
    {'type': 'document', 'source': {'type': 'file', 'file_id': 'file_1'}}

    Raises:
        ConfigurationError: The part holds neither the id of a file at the service, nor its URL, nor
            a data URL of a PDF, an image or plain text in UTF-8.
    """
    file = part.get("file")
    file = file if isinstance(file, Mapping) else {}
    data, id = file.get("file_data"), file.get("file_id")
    content = split_data_url(data)
    if content is not None:
        kind, source = _source(content[0].partition(";")[0].lower(), content[1])
    elif isinstance(data, str) and data.startswith(("https://", "http://")):
        kind, source = "document", {"type": "url", "url": data}
    elif not data and id and isinstance(id, str):
        kind, source = "document", {"type": "file", "file_id": id}
    else:
        raise ConfigurationError("a file part must hold a data URL, a URL or a file_id")
    title = {"title": file["filename"]} if kind == "document" and file.get("filename") else {}
    return {"type": kind, "source": source, **title}


def _source(media_type: str, data: str) -> tuple[str, Json]:
    """The block's type, and what it holds."""
    if media_type == "text/plain":
        return "document", {"type": "text", "media_type": media_type, "data": _text(data)}
    kind = "image" if media_type.startswith("image/") else "document"
    if kind == "document" and media_type != "application/pdf":
        raise ConfigurationError(
            "the messages API takes files that are PDF, an image or plain text, "
            f"got {media_type[:80]!r}"
        )
    return kind, {"type": "base64", "media_type": media_type, "data": data}


def _text(data: str) -> str:
    try:
        return b64decode(data, validate=True).decode("utf-8")
    except ValueError:
        pass  # the error's own text may quote the file
    raise ConfigurationError("a text file must be UTF-8 in base64")
