import pytest

from llmproxyd.errors import BadRequest
from llmproxyd.reverse.request import to_messages
from tests.reverse.chat import answer, call, calls, request, said, text, translated, turns, user

REMINDER = "<system-reminder>\nlater\n</system-reminder>"


@pytest.mark.parametrize(
    ("messages", "system"),
    [
        ([said("system", "A"), user()], "A"),
        ([said("developer", "A"), user()], "A"),
        ([said("system", "A"), said("developer", "B"), user()], "A\n\nB"),
        ([said("system", [text("A"), text(" "), text("B")]), user()], "A\n\nB"),
        ([said("system", " "), user()], None),
        ([said("system", [{"type": "image_url"}, text("A")]), user()], "A"),
    ],
)
def test_system_in_front_is_the_system_prompt(messages, system):
    assert system == translated(*messages).get("system")


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        # text, empty content, roles
        ([user("hi")], [("user", "hi")]),
        ([user(""), user("x"), user(None)], [("user", "x")]),
        ([user("a"), user("b")], [("user", [text("a"), text("b")])]),
        ([said("ctx", "a")], [("user", "a")]),
        # late and lonely system messages
        ([user("a"), said("system", "later")], [("user", [text("a"), text(REMINDER)])]),
        ([user("a"), said("developer", REMINDER)], [("user", [text("a"), text(REMINDER)])]),
        ([said("system", "later")], [("user", REMINDER)]),
        # a first message of the assistant
        (
            [said("assistant", "a"), user("b")],
            [("user", "(conversation continues)"), ("assistant", "a"), ("user", "b")],
        ),
        # what an assistant says
        (
            [user("a"), said("assistant", None), said("assistant", "b"), user("c")],
            [("user", "a"), ("assistant", "b"), ("user", "c")],
        ),
        (
            [user("a"), said("assistant", [{"type": "refusal", "refusal": "no"}]), user("c")],
            [("user", "a"), ("assistant", "no"), ("user", "c")],
        ),
        (
            [user("a"), said("assistant", None, refusal="no"), user("c")],
            [("user", "a"), ("assistant", "no"), ("user", "c")],
        ),
        (
            [user("a"), said("assistant", [{"type": "thinking", "thinking": "?"}, text("b")])],
            [("user", "a"), ("assistant", "b")],
        ),
        ([user("a"), said("assistant", "Sure, \n")], [("user", "a"), ("assistant", "Sure,")]),
    ],
)
def test_turns(messages, expected):
    assert expected == turns(*messages)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"é":"\\u2028","n":1}', {"é": "\u2028", "n": 1}),
        ("", {}),
        (" \n", {}),
        (None, {}),
        ({"a": 1}, {"a": 1}),
        ('{"a":', {"__unparsedToolInput": {"raw": '{"a":', "len": 5}}),
        ("[1]", {"__unparsedToolInput": {"raw": "[1]", "len": 3}}),
        ('{"n":1e999}', {"__unparsedToolInput": {"raw": '{"n":1e999}', "len": 11}}),
        (5, {"__unparsedToolInput": {"raw": "5", "len": 1}}),
    ],
)
def test_arguments_become_the_input(arguments, expected):
    block = {"type": "tool_use", "id": "a", "name": "f", "input": expected}
    assert ("assistant", [block]) == turns(user(), calls(call("a", arguments)))[1]


def test_text_stands_before_the_calls():
    spoken = calls(call("a"), content="let me see")
    kinds = [block["type"] for block in turns(user(), spoken)[1][1]]
    assert ["text", "tool_use"] == kinds


def test_custom_tool_call_keeps_its_input():
    made = {"id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    block = {"type": "tool_use", "id": "a", "name": "sh", "input": {"input": "ls"}}
    assert ("assistant", [block]) == turns(user(), calls(made))[1]


def test_older_function_calls_get_ids():
    asked = said("assistant", None, function_call={"name": "f", "arguments": '{"a":1}'})
    call_id = "function_call_1"
    assert [
        ("user", "hi"),
        ("assistant", [{"type": "tool_use", "id": call_id, "name": "f", "input": {"a": 1}}]),
        ("user", [{"type": "tool_result", "tool_use_id": call_id, "content": [text("1")]}]),
    ] == turns(user(), asked, said("function", "1", name="f"))


def test_results_and_the_text_around_them_are_one_turn():
    assert [
        {"type": "tool_result", "tool_use_id": "a", "content": [text("1")]},
        {"type": "tool_result", "tool_use_id": "b", "content": [text("2")]},
        text("note"),
        text("go on"),
    ] == turns(
        user(),
        calls(call("a"), call("b")),
        answer("a", "1"),
        user("note"),
        answer("b", [text("2")]),
        user("go on"),
    )[2][1]


def test_unsigned_reasoning_is_dropped_and_noted():
    raw = request(user(), said("assistant", "a", reasoning_content="hmm"), user())
    translation = to_messages(raw)
    assert ("dropped:reasoning_content",) == translation.notes
    assert b"hmm" not in translation.body


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "messages: at least one message is required"),
        ([user("")], "messages: at least one message is required"),
        (["x"], "messages.0: Input should be an object"),
        ([{"content": "x"}], "messages.0.role: Field required"),
        ([user(), user(5)], "messages.1.content: Input should be a string or an array"),
        ([said("tool", "x")], "messages.0.tool_call_id: Field required"),
        ([calls({"function": {"name": "f"}})], "messages.0.tool_calls.0.id: Field required"),
        ([calls("x")], "messages.0.tool_calls.0.id: Field required"),
        ([calls({"id": "a"})], "messages.0.tool_calls.0.name: Field required"),
        (
            [said("assistant", None, tool_calls="x")],
            "messages.0.tool_calls: Input should be a valid array",
        ),
        (
            [said("assistant", None, function_call={})],
            "messages.0.function_call.name: Field required",
        ),
    ],
)
def test_malformed_message_is_refused(messages, message):
    with pytest.raises(BadRequest) as caught:
        to_messages(request(*messages))
    assert message == caught.value.message


@pytest.mark.parametrize(
    ("field", "problem"),
    [(b"", "Field required"), (b',"messages":{}', "Input should be a valid array")],
)
def test_messages_must_be_a_list(field, problem):
    with pytest.raises(BadRequest) as caught:
        to_messages(b'{"model":"m"%b}' % field)
    assert f"messages: {problem}" == caught.value.message
