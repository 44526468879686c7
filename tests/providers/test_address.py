"""Base URLs that are refused, and the forms of OLLAMA_HOST."""

from __future__ import annotations

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers.address import checked_base_url, ollama_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
        ("http://localhost:8000//", "http://localhost:8000"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("HTTPS://h/a%20b", "HTTPS://h/a%20b"),
    ],
)
def test_a_good_url_loses_its_trailing_slashes(url: str, expected: str) -> None:
    assert checked_base_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "api.openai.com/v1",
        "//api.openai.com",
        "ftp://h/canary",
        "file:///etc/canary",
        "unix:///canary",
        "javascript:canary",
        "http://",
        "http:///canary",
        "http://:8080",
        "http://h:0",
        "http://h:99999",
        "http://h:canary",
        "http://[::1",
        "http://[canary]/",
        "http://canary:canary@h/v1",
        "http://canary@h",
        "canary:canary@h",
        "http://good\\@canary",
        "http://h\\.canary",
        "http://h/v1?key=canary",
        "http://h/v1#canary",
        "http://h/v1?",
        "http://h/v1#",
        " http://h",
        "http://h ",
        "http://h/a b",
        "http://h/\r\nX: canary",
        "http://h/\tcanary",
        "http://h\x00canary",
        "http://h\x7f",
        "http://h/\x1b",
        "http://bücher.example",
        "http://h\u2028canary",
        "http://\uff48",
        "http://h/<canary>",
        "http://h/{canary}",
    ],
)
def test_a_bad_url_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^SOME_URL ") as caught:
        checked_base_url(url, "SOME_URL")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("url", [None, 5, b"http://h"])
def test_a_url_that_is_no_text_is_refused(url: object) -> None:
    with pytest.raises(ConfigurationError):
        checked_base_url(url)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("", "http://127.0.0.1:11434"),
        ("  ", "http://127.0.0.1:11434"),
        ("h", "http://h:11434"),
        (" h ", "http://h:11434"),
        ("h:56789", "http://h:56789"),
        ("h/", "http://h:11434"),
        ("h:56789/", "http://h:56789"),
        (":56789", "http://127.0.0.1:56789"),
        (":56789/a", "http://127.0.0.1:56789/a"),
        ("1.2.3.4", "http://1.2.3.4:11434"),
        ("1.2.3.4:56789", "http://1.2.3.4:56789"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("http://h", "http://h:80"),
        ("https://h", "https://h:443"),
        ("http://1.2.3.4", "http://1.2.3.4:80"),
        ("https://1.2.3.4:56789", "https://1.2.3.4:56789"),
        ("https://h:56789/", "https://h:56789"),
        ("http://h:11434", "http://h:11434"),
        ("example.com", "http://example.com:11434"),
        ("example.com/a", "http://example.com:11434/a"),
        ("example.com:56789/a/b/", "http://example.com:56789/a/b"),
        ("https://example.com/a/b", "https://example.com:443/a/b"),
        ("[::1]", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("[::1]:56789", "http://[::1]:56789"),
        ("https://[::1]", "https://[::1]:443"),
        ("https://[::1]:56789/a", "https://[::1]:56789/a"),
        ("[0001:002:003:0004::1]", "http://[1:2:3:4::1]:11434"),
        ("[::]", "http://[::1]:11434"),
    ],
)
def test_ollama_host_may_leave_out_any_part(host: str, expected: str) -> None:
    assert ollama_url(host) == expected
    assert checked_base_url(ollama_url(host), allow_http=True) == expected


@pytest.mark.parametrize("host", ["h:canary", "h:99999", "canary:canary@h", "[x", "http://a@h"])
def test_a_bad_ollama_host_is_refused_and_not_quoted(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^OLLAMA_HOST ") as caught:
        checked_base_url(ollama_url(host), "OLLAMA_HOST")
    assert "canary" not in str(caught.value)
