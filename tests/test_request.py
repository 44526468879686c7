"""What goes in: secrets that never show, messages, calls checked before anything is sent."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from typing import Any

import pytest

import streamkit
from streamkit.errors import ConfigurationError
from streamkit.request import Call, Message, Request, Secret, build_call, check_header, conceal

KEY = "sk-marker-0123456789"


def test_a_secret_is_text_that_does_not_show():
    secret = Secret(KEY)
    assert secret == KEY and f"Bearer {secret}".endswith(KEY)
    assert KEY not in repr(secret)
    assert KEY not in repr({"Authorization": secret}) + repr([secret]) + repr((secret,))
    assert KEY not in f"{secret!r}"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_never_pickled(protocol):
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps({"key": Secret(KEY)}, protocol)


def test_a_secret_is_not_copied_deep_by_accident():
    with pytest.raises(TypeError, match="never pickled"):
        copy.deepcopy(Secret(KEY))


def test_a_request_does_not_show_its_headers_or_body():
    request = Request(url="http://h/v1", headers={"A": Secret(KEY)}, body=b"my prompt")
    assert KEY not in repr(request) and "prompt" not in repr(request)


def test_a_call_does_not_show_what_is_asked():
    call = build_call("m", "my prompt", {"system": "my rules"})
    assert "prompt" not in repr(call) and "rules" not in repr(call)


def test_conceal_hides_every_keyword_that_may_hold_a_key():
    keywords = {
        "api_key": KEY,
        "my_token": KEY,
        "secret": KEY,
        "headers": {"X-Any": KEY},
        "extra_headers": {"X-Any": KEY, "n": 1},
        "temperature": 1,
        "model": "m",
    }
    conceal(keywords)
    assert KEY not in repr(keywords)
    assert keywords["api_key"] == KEY and keywords["extra_headers"]["n"] == 1


def test_messages_are_plain_dicts():
    assert Message.system("s") == {"role": "system", "content": "s"}
    assert Message.user([{"type": "text", "text": "t"}])["content"][0]["text"] == "t"
    assert Message.assistant("a") == {"role": "assistant", "content": "a"}
    assert Message.assistant(tool_calls=[{"id": "1"}])["tool_calls"] == [{"id": "1"}]
    assert Message.tool("42", tool_call_id="1")["tool_call_id"] == "1"
    assert json.loads(json.dumps(Message.user("u"))) == {"role": "user", "content": "u"}


def test_a_text_is_one_user_message():
    assert build_call("m", "Hi", {}).messages == ({"role": "user", "content": "Hi"},)


def test_what_is_none_is_not_given():
    assert build_call("m", "Hi", {"temperature": None, "stop": None}) == build_call("m", "Hi", {})


def test_one_stop_text_is_a_tuple_of_one():
    assert build_call("m", "Hi", {"stop": "END"}).stop == ("END",)
    assert build_call("m", "Hi", {"stop": ["a", "b"]}).stop == ("a", "b")


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("", "prompt must not be empty"),
        ([], "prompt must hold at least one message"),
        (b"Hi", "prompt must be text or a list of messages, got bytes"),
        (None, "prompt must be text or a list of messages, got NoneType"),
        ({"role": "user"}, "prompt must be text or a list of messages, got dict"),
        (["Hi"], "message 0 must be a mapping with a 'role'"),
        ([{"role": "user"}, {"content": "x"}], "message 1 must be a mapping with a 'role'"),
        ([{"role": 1}], "message 0 must be a mapping with a 'role'"),
    ],
)
def test_a_prompt_that_is_none(prompt, says):
    with pytest.raises(ConfigurationError, match=says):
        build_call("m", prompt, {})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"temperature": "1"}, "temperature must be a number, got str"),
        ({"temperature": True}, "temperature must be a number, got bool"),
        ({"top_p": []}, "top_p must be a number, got list"),
        ({"max_tokens": 1.5}, "max_tokens must be a whole number, got float"),
        ({"max_tokens": 0}, "max_tokens must be at least 1, got 0"),
        ({"max_tokens": True}, "max_tokens must be a whole number, got bool"),
        ({"seed": "7"}, "seed must be a whole number, got str"),
        ({"system": 1}, "system must be text, got int"),
        ({"stop": [1]}, "stop must be a list of text"),
        ({"stop": {"a": 1}}, "stop must be a list of text"),
        ({"tools": [1]}, "tools must be a list of mappings"),
        ({"tools": "x"}, "tools must be a list of mappings"),
        ({"tool_choice": 1}, "tool_choice must be text or a mapping, got int"),
        ({"response_format": "json"}, "response_format must be a mapping, got str"),
        ({"extra_body": []}, "extra_body must be a mapping, got list"),
        ({"extra_headers": []}, "extra_headers must be a mapping, got list"),
    ],
)
def test_a_value_no_provider_could_take(given, says):
    with pytest.raises(ConfigurationError, match=says):
        build_call("m", "Hi", given)


def test_a_call_is_immutable():
    call = build_call("m", "Hi", {})
    with pytest.raises(AttributeError):
        call.model = "other"  # type: ignore[misc]
    assert isinstance(call, Call)


@pytest.mark.parametrize(
    "value",
    ["", " ", "sk-7 ", " sk-7", "sk-7\r", "sk-7\n", "sk-7\r\nX-Evil: 1", "sk-7\0b", "sk-7\x01",
     "sk-7\tb", "sk-7\x7f", "sk-7\x1b[0m", "sk-7\u0100", "sk-7\u2028", "sk-7\U0001f600",
     "sk-7\ud83d", 7, None, b"sk-7"],
)  # fmt: skip
def test_a_header_value_that_could_smuggle_is_refused_and_never_quoted(value):
    with pytest.raises(ConfigurationError) as caught:
        check_header("Authorization", value)
    text = str(caught.value)
    assert "Authorization" in text
    assert "sk-7" not in text


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\n", "ä", "a\0", "(x)", "x" * 50 + ":"])
def test_a_header_name_is_a_token(name):
    with pytest.raises(ConfigurationError, match="header names must be RFC 9110 tokens"):
        check_header(name, "v")


@pytest.mark.parametrize("name", [b"X-A", 7, None])
def test_a_header_name_is_text(name):
    with pytest.raises(ConfigurationError, match="header names must be text, got "):
        check_header(name, "v")


@pytest.mark.parametrize(
    "name",
    ["Connection", "Content-Length", "Expect", "Keep-Alive", "Proxy-Connection", "TE", "Trailer",
     "Transfer-Encoding", "Upgrade"],
)  # fmt: skip
@pytest.mark.parametrize("case", [str, str.lower, str.upper])
def test_framing_is_the_transports_own(name, case):
    with pytest.raises(ConfigurationError) as caught:
        check_header(case(name), "chunked")
    assert str(caught.value) == f"the header {case(name)} is set by the transport alone"


@pytest.mark.parametrize("value", ["Bearer abc", "caf\xe9", "a b", "!#$%&'*+-.^_`|~"])
def test_a_sound_header_passes(value):
    check_header("X-Good_1", value)


def test_logging_a_header_dictionary_does_not_show_the_key(caplog):
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").debug("headers %s", {"Authorization": Secret(KEY)})
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "given",
    [
        {"api_key": KEY.encode()},
        {"api_key": [KEY]},
        {"base_url": f"http://u:{KEY}@h/"},
        {"base_url": [f"http://u:{KEY}@h/"]},
        {"api_key": KEY, "bogus": 1},
        {"headers": {"Authorization": f"Bearer {KEY}"}, "temperature": "hot"},
    ],
)
def test_no_frame_of_a_refusal_shows_a_secret(given: dict[str, Any]) -> None:
    with pytest.raises(streamkit.ConfigurationError) as caught:
        streamkit.stream("openai/x", "hi", **given)
    # From our own first frame on: the test's own locals hold the secret, and so may a user's.
    trace = caught.value.__traceback__
    assert trace is not None and trace.tb_next is not None
    told = traceback.TracebackException(
        type(caught.value), caught.value, trace.tb_next, capture_locals=True
    )
    assert KEY not in "".join(told.format())
