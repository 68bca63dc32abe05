import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.errors import BadRequest
from llmproxyd.reverse.request import to_messages
from tests.reverse import messages_grammar
from tests.reverse.chat import (
    CONVERSATIONS,
    JSON,
    OPTIONS,
    PNG,
    answer,
    call,
    calls,
    request,
    said,
    tool,
    translated,
    user,
)

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
HISTORY = [
    said("system", "be brief"),
    user("weather?"),
    calls(call("a", '{"city":"Bonn"}')),
    answer("a", "mild"),
    said("assistant", "It is mild."),
    user("and tomorrow?"),
]


def refusal(raw):
    with pytest.raises(BadRequest) as caught:
        to_messages(raw)
    return caught.value.message


def attempt(raw):
    """The translation, or why there is none."""
    try:
        return to_messages(raw)
    except BadRequest as error:
        return error.message


def options(**fields):
    """The Messages body of a one-line request, less what every such body has."""
    body = translated(user(), **fields)
    return {key: body[key] for key in body if key not in ("model", "messages", "max_tokens")}


def test_request_is_compact_json_in_a_fixed_order():
    assert (
        b'{"model":"m","max_tokens":8192,"stream":true,"system":"S",'
        b'"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}'
        == to_messages(request(said("system", "S"), user(), stream=True)).body
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 8192),
        ({"max_tokens": 5}, 5),
        ({"max_tokens": 5, "max_completion_tokens": 7}, 7),
        ({"max_tokens": 5, "max_completion_tokens": None}, 5),
    ],
)
def test_max_tokens(fields, expected):
    assert expected == translated(user(), **fields)["max_tokens"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"temperature": 0.5}, {"temperature": 0.5}),
        ({"temperature": 1.7}, {"temperature": 1}),
        ({"temperature": -1}, {"temperature": 0}),
        ({"temperature": None}, {}),
        ({"top_p": 0.9}, {"top_p": 0.9}),
        ({"top_p": 1}, {}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["a", "\n", "", "b", "a"]}, {"stop_sequences": ["a", "b"]}),
        ({"stop": [" "]}, {}),
        ({"stop": None}, {}),
        ({"user": "u-1"}, {"metadata": {"user_id": "u-1"}}),
        ({"user": ""}, {}),
        ({"reasoning_effort": "high"}, {"output_config": {"effort": "high"}}),
        ({"reasoning_effort": "minimal"}, {"output_config": {"effort": "low"}}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_effort": "extreme"}, {}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": None}, {}),
        (
            {"response_format": {"type": "json_object"}},
            {"system": "Answer with one JSON object, and with nothing else."},
        ),
        (
            {
                "reasoning_effort": "low",
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "strict": True, "schema": SCHEMA},
                },
            },
            {
                "output_config": {
                    "effort": "low",
                    "format": {"type": "json_schema", "schema": SCHEMA},
                }
            },
        ),
        ({"stream": True}, {"stream": True}),
        ({"stream": False}, {}),
        ({"n": 1}, {}),
        ({"functions": []}, {}),
    ],
)
def test_options(fields, expected):
    assert expected == options(**fields)


def test_json_mode_keeps_the_system_prompt():
    body = translated(said("system", "S"), user(), response_format={"type": "json_object"})
    assert "S\n\nAnswer with one JSON object, and with nothing else." == body["system"]


def test_what_messages_has_no_word_for_is_dropped_and_noted():
    raw = request(
        user(), seed=1, logprobs=True, presence_penalty=0.5, logit_bias={}, store=None, **{"a b": 1}
    )
    translation = to_messages(raw)
    assert {"model", "max_tokens", "messages"} == set(json.loads(translation.body))
    assert (
        "dropped:logit_bias",
        "dropped:logprobs",
        "dropped:presence_penalty",
        "dropped:seed",
        "dropped:unnamed",
    ) == translation.notes


@pytest.mark.parametrize(
    ("fields", "stream", "include_usage"),
    [
        ({}, False, False),
        ({"stream": True}, True, False),
        ({"stream": True, "stream_options": {"include_usage": True}}, True, True),
        ({"stream": True, "stream_options": {"include_usage": False}}, True, False),
        ({"stream": True, "stream_options": None}, True, False),
        ({"stream_options": {"include_usage": True}}, False, False),
    ],
)
def test_how_the_answer_is_wanted(fields, stream, include_usage):
    translation = to_messages(request(user(), **fields))
    assert ("m", stream, include_usage) == (
        translation.model,
        translation.stream,
        translation.include_usage,
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n": 2}, "n: only 1 is supported"),
        ({"n": True}, "n: only 1 is supported"),
        ({"n": "1"}, "n: only 1 is supported"),
        ({"functions": [{"name": "f"}]}, "functions: not supported, use tools"),
        ({"max_tokens": "5"}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": True}, "max_tokens: Input should be a valid integer"),
        (
            {"max_completion_tokens": 0},
            "max_completion_tokens: Input should be greater than or equal to 1",
        ),
        ({"temperature": "hot"}, "temperature: Input should be a valid number"),
        ({"top_p": False}, "top_p: Input should be a valid number"),
        ({"stop": 5}, "stop: Input should be a string or an array of strings"),
        ({"stop": ["a", 5]}, "stop: Input should be a string or an array of strings"),
        ({"response_format": "json"}, "response_format: Input should be an object"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            "response_format.json_schema.schema: Input should be an object",
        ),
        (
            {"response_format": {"type": "json_schema"}},
            "response_format.json_schema.schema: Input should be an object",
        ),
        ({"stream": "yes"}, "stream: Input should be a valid boolean"),
        ({"model": None}, "model: Field required"),
    ],
)
def test_malformed_option_is_refused(fields, message):
    assert message == refusal(request(user(), **fields))


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'"x"', b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(raw):
    refusal(raw)


@pytest.mark.parametrize("depth", [*range(80, 1200, 40)])
def test_deep_json_is_translated_or_refused(depth):
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    raw = b'{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function",'
    raw += b'"function":{"name":"f","parameters":%b}}]}' % deep
    outcome = attempt(raw)
    if not isinstance(outcome, str):
        outcome = messages_grammar.check(outcome.body)["model"]
    assert outcome in ("m", "the request body is nested too deeply")


def test_deep_arguments_cost_no_more_than_a_refusal():
    for depth in range(100, 3000, 100):
        arguments = '{"a":' * depth + "1" + "}" * depth
        outcome = attempt(request(user(), calls(call("a", arguments))))
        assert not isinstance(outcome, str) or outcome == "the request body is nested too deeply"


def below(frames, raw):
    """The outcome for a caller so many frames down the stack; None if it has no room to begin."""
    try:
        return attempt(raw) if frames == 0 else below(frames - 1, raw)
    except RecursionError:
        return None


def test_stack_that_ends_while_translating_is_a_refusal():
    limit = sys.getrecursionlimit()
    outcomes = [below(frames, request(user())) for frames in range(limit - 200, limit)]
    assert {str, type(None), type(to_messages(request(user())))} == set(map(type, outcomes))
    assert {"the request body is nested too deeply"} == set(
        filter(lambda o: isinstance(o, str), outcomes)
    )


def test_lone_surrogates_are_mended():
    raw = b'{"model":"m","messages":[{"role":"user","content":"a\\ud800b"}]}'
    assert "a\ufffdb".encode() in to_messages(raw).body


@pytest.mark.parametrize("length", range(2, len(HISTORY)))
def test_longer_history_keeps_the_bytes_of_the_shorter(length):
    fields = {"tools": [tool()], "temperature": 0.5}
    shorter = to_messages(request(*HISTORY[:length], **fields)).body
    longer = to_messages(request(*HISTORY, **fields)).body
    is_mid_call = HISTORY[length - 1]["role"] == "assistant" and length == 3
    if not is_mid_call:  # there the missing result is made up
        assert longer.startswith(shorter.removesuffix(b"]}]}"))


@settings(max_examples=100)
@given(CONVERSATIONS, OPTIONS)
def test_any_request_of_the_sdk_gives_a_valid_body(conversation, fields):
    raw = request(*conversation, **fields)
    translation = attempt(raw)
    if isinstance(translation, str):
        assert "messages: at least one message is required" == translation
        return
    body = messages_grammar.check(translation.body)
    assert translation.body == to_messages(raw).body
    assert body.get("stream", False) is translation.stream


@settings(max_examples=100)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                *("messages", "stream", "n", "max_tokens", "stop", "temperature", "top_p", "user"),
                *("tools", "tool_choice", "parallel_tool_calls", "functions", "stream_options"),
                *("reasoning_effort", "response_format"),
            ]
        ),
        JSON,
    ),
    st.lists(
        st.dictionaries(
            st.sampled_from(["role", "content", "tool_calls", "tool_call_id", "function_call"]),
            JSON | st.sampled_from(["user", "assistant", "tool", "system"]),
        )
        | JSON,
        max_size=3,
    ),
)
def test_garbage_is_refused_or_translated(fields, messages):
    raw = json.dumps({"model": "m", "messages": messages} | fields).encode()
    outcome = attempt(raw)
    if not isinstance(outcome, str):
        messages_grammar.check_messages(json.loads(outcome.body)["messages"])


@given(st.binary(max_size=60))
def test_bytes_are_refused(raw):
    with pytest.raises(BadRequest):
        to_messages(raw)


def recorded():
    """Requests that real clients sent to real Chat Completions servers."""
    for path in sorted((Path(__file__).parents[1] / "recordings").glob("*/*.json")):
        sent = json.loads(path.read_text())["request"]
        if sent["url"].endswith("/chat/completions") and isinstance(sent["body"], dict):
            yield path.stem, sent["body"]


RECORDED = dict(recorded())
OUTCOMES = {name: attempt(json.dumps(body).encode()) for name, body in RECORDED.items()}
TRANSLATED = [name for name, outcome in OUTCOMES.items() if not isinstance(outcome, str)]


def strings(value):
    """All text in a request, tool arguments decoded."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from strings(json.loads(inner) if key == "arguments" else inner)
        case list():
            for inner in value:
                yield from strings(inner)
        case str():
            yield value


def test_recordings_are_there():
    assert len(TRANSLATED) > 150


def test_recorded_requests_are_refused_for_what_they_ask_only():
    assert {
        "n: only 1 is supported",
        "model: Field required",
        "messages: at least one message is required",
    } == {OUTCOMES[name] for name in OUTCOMES if name not in TRANSLATED}


@pytest.mark.parametrize("name", TRANSLATED)
def test_recorded_request_loses_nothing(name):
    sent, translation = RECORDED[name], OUTCOMES[name]
    body = messages_grammar.check(translation.body)
    found = set(strings(body))
    system = body.get("system", "")
    for message in sent["messages"]:
        content = message.get("content") or []
        parts = [content] if isinstance(content, str) else [p.get("text", "") for p in content]
        wanted = {*parts, *strings([c["function"] for c in message.get("tool_calls", [])])}
        assert set() == {words for words in wanted if words.strip() and words not in system} - found
    assert [t["function"]["name"] for t in sent.get("tools", [])] == [
        t["name"] for t in body.get("tools", [])
    ]
    assert [t["function"]["parameters"] for t in sent.get("tools", [])] == [
        t["input_schema"] for t in body.get("tools", [])
    ]
    images = [
        part
        for message in sent["messages"]
        if isinstance(message.get("content"), list)
        for part in message["content"]
        if part["type"] == "image_url"
    ]
    assert len(images) == translation.body.count(b'{"type":"image",')
    schema = (sent.get("response_format") or {}).get("json_schema", {}).get("schema")
    assert schema == body.get("output_config", {}).get("format", {}).get("schema")


def test_an_image_goes_through_untouched():
    body = translated(user([{"type": "image_url", "image_url": {"url": PNG}}]))
    source = {"type": "base64", "media_type": "image/png", "data": PNG.partition(",")[2]}
    assert [{"type": "image", "source": source}] == body["messages"][0]["content"]
