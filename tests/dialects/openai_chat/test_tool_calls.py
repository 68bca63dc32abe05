"""Which delta belongs to which call, and how calls are named (sections 2.4 and 3.5)."""

from __future__ import annotations

import pytest

from llmproxyd.dialects.openai_chat.chunks import Function, ToolDelta
from llmproxyd.dialects.openai_chat.encoded import Encoded
from llmproxyd.dialects.openai_chat.tool_calls import ToolIds, ToolNames, ToolSlots
from llmproxyd.dialects.openai_chat.tool_names import upstream_name
from tests.dialects.openai_chat.calls import tool
from tests.dialects.openai_chat.upstream import DONE, Entropy, called, chunk, decode, tool_block


def delta(arguments=None, name=None, call_id=None, index=None):
    return ToolDelta(index, call_id, Function(name, arguments))


def assembled(*deltas):
    """(id, name, arguments) of every call that the deltas make."""
    slots = ToolSlots(is_live=True)
    found = []
    for item in deltas:
        slot, is_new, _ = slots.take(item, None)
        if is_new:
            found.append(slot)
    return [(slot.id, slot.name, slot.take() + slot.arguments.finish()) for slot in found]


@pytest.mark.parametrize("index", [1, "1", 1.0])
def test_index_is_a_number_or_its_digits(index):
    first, second = delta("{", "f", "a", index), delta('"a":1}', index=1)
    assert [("a", "f", '{"a":1}')] == assembled(first, second)


@pytest.mark.parametrize("index", [None, "x", True, [0], 1.5, "²", "9" * 100])
def test_other_indices_count_as_missing(index):
    deltas = delta('{"a":1}', "f", "a", index), delta('{"b":2}', "g", "b", index)
    assert [("a", "f", '{"a":1}'), ("b", "g", '{"b":2}')] == assembled(*deltas)


def test_without_index_the_id_tells_the_call():
    deltas = (
        delta('{"a":', "f", "a"),
        delta('{"b":', "g", "b"),
        delta("1}", call_id="a"),
        delta("2}", call_id="b"),
    )
    assert [("a", "f", '{"a":1}'), ("b", "g", '{"b":2}')] == assembled(*deltas)


def test_without_index_and_id_the_latest_call_goes_on():
    assert [("a", "f", '{"a":1}')] == assembled(delta('{"a":', "f", "a"), delta("1}"))


def test_without_index_and_id_a_name_begins_a_call():
    deltas = delta('{"a":1}', "f"), delta('{"a":1}', "f"), delta('{"b":2}', "g")
    assert [("", "f", '{"a":1}'), ("", "f", '{"a":1}'), ("", "g", '{"b":2}')] == assembled(*deltas)


def test_without_index_a_repeated_name_goes_on_with_unfinished_arguments():
    deltas = delta('{"a":', "f"), delta("1}", "f")
    assert [("", "f", '{"a":1}')] == assembled(*deltas)


def test_without_index_an_unknown_id_without_name_goes_on_with_unfinished_arguments():
    deltas = delta('{"a":', "f", "a"), delta("1}", call_id="other")
    assert [("a", "f", '{"a":1}')] == assembled(*deltas)


def test_without_index_an_unknown_id_begins_a_call_after_a_complete_one():
    deltas = delta('{"a":1}', "f", "a"), delta(call_id="b"), delta('{"b":2}', "g", "b")
    assert [("a", "f", '{"a":1}'), ("b", "g", '{"b":2}')] == assembled(*deltas)


def test_ollama_sends_every_call_as_index_0():
    deltas = delta('{"a":1}', "f", "a", 0), delta('{"a":2}', "f", "b", 0), delta("{}", "g", "c", 0)
    assert [("a", "f", '{"a":1}'), ("b", "f", '{"a":2}'), ("c", "g", "")] == assembled(*deltas)


def test_new_id_and_name_before_any_arguments_begin_a_call():
    deltas = delta(name="f", call_id="a", index=0), delta(name="g", call_id="b", index=0)
    assert [("a", "f", ""), ("b", "g", "")] == assembled(*deltas)


def test_new_id_in_the_middle_of_arguments_is_a_continuation():
    deltas = delta('{"a":', "f", "a", 0), delta("1}", "f", "b", 0)
    assert [("a", "f", '{"a":1}')] == assembled(*deltas)


def test_new_id_without_name_is_a_continuation():
    deltas = delta(name="f", call_id="a", index=0), delta('{"a":1}', call_id="b", index=0)
    assert [("a", "f", '{"a":1}')] == assembled(*deltas)


def test_same_id_and_name_on_every_delta_are_a_continuation():
    deltas = [delta(piece, "f", "a", 0) for piece in ('{"a"', ":", "1}")]
    assert [("a", "f", '{"a":1}')] == assembled(*deltas)


def test_late_id_is_taken():
    deltas = delta(name="f", index=0), delta('{"a":1}', "f", "a", 0)
    assert [("a", "f", '{"a":1}')] == assembled(*deltas)


def test_other_name_without_ids_after_complete_arguments_begins_a_call():
    deltas = delta('{"a":1}', "f", index=0), delta('{"b":2}', "g", index=0)
    assert [("", "f", '{"a":1}'), ("", "g", '{"b":2}')] == assembled(*deltas)


def test_new_id_after_complete_arguments_begins_a_call():
    deltas = delta('{"a":1}', "f", index=0), delta('{"a":2}', "f", "b", 0)
    assert [("", "f", '{"a":1}'), ("b", "f", '{"a":2}')] == assembled(*deltas)


def test_new_id_with_other_name_before_arguments_begins_a_call():
    deltas = delta(name="f", index=0), delta('{"b":2}', "g", "b", 0)
    assert [("", "f", ""), ("b", "g", '{"b":2}')] == assembled(*deltas)


def test_name_comes_in_pieces_until_arguments_begin():
    deltas = (
        delta(name="get_", index=0),
        delta("", "weather", index=0),
        delta("{}", "more", index=0),
    )
    assert "get_weathermore" == assembled(*deltas)[0][1]
    late = delta('{"a":', "f", "a", 0), delta("1}", "junk", index=0)
    assert "f" == assembled(*late)[0][1]


def test_name_after_the_arguments_is_taken():
    assert [("", "f", '{"a":1}')] == assembled(delta('{"a":', index=0), delta("1}", "f", index=0))


def test_function_that_is_missing_or_odd():
    assert [("a", "", "")] == assembled(ToolDelta(0, "a"))
    assert [("", "", '{"a":1}')] == assembled(delta({"a": 1}, ["f"], {"b": 1}, 0))


def test_object_arguments_are_written_out():
    assert [("a", "f", '{"é":1}')] == assembled(delta({"é": 1}, "f", "a", 0))


@pytest.mark.parametrize(
    ("upstream", "expected"),
    [
        ("Bash", "Bash"),
        ("bash", "Bash"),
        ("mcp_x_y", "mcp.x y"),
        ("MCP_X_Y", "mcp.x y"),
        ("MCP.X Y", "mcp.x y"),
        ("read", "read"),
        ("Read", "Read"),
        ("READ", "READ"),
        ("Other", "Other"),
        ("", ""),
    ],
)
def test_upstream_name_to_the_clients_own(upstream, expected):
    names = ToolNames(
        Encoded(
            body=b"", names={"mcp_x_y": "mcp.x y"}, tool_names=("Bash", "Read", "read", "mcp.x y")
        )
    )
    assert expected == names.client_name(upstream)


def test_renamed_tool_gets_its_name_back():
    tools = {"tools": [tool("mcp.x y")]}
    sent = upstream_name("mcp.x y")
    for name in (sent, sent.upper(), "MCP.x Y"):
        answer = decode(called('{"a":1}', name=name), DONE, body=tools)
        assert [tool_block({"a": 1}, "mcp.x y")] == answer.content


@pytest.mark.parametrize("bad", ["", "a b", "ü", "x" * 65, "a\n", "used"])
def test_bad_id_is_minted(bad):
    ids = ToolIds(frozenset({"used"}), Entropy())
    assert f"toolu_{1:024}" == ids.claim(bad)


def test_id_is_kept_once():
    ids = ToolIds(frozenset(), Entropy())
    assert "call_1" == ids.claim("call_1")
    assert f"toolu_{1:024}" == ids.claim("call_1")
    assert "x" * 64 == ids.claim("x" * 64)


def test_minted_id_is_not_in_the_history_either():
    ids = ToolIds(frozenset({f"toolu_{1:024}"}), Entropy())
    assert f"toolu_{2:024}" == ids.claim("")


def test_legacy_call_comes_in_pieces():
    pieces = [{"name": "Bash"}, {"arguments": '{"a"'}, {"arguments": ":1}"}]
    answer = decode(
        *(chunk({"function_call": piece}) for piece in pieces), chunk({}, "function_call"), DONE
    )
    assert [tool_block({"a": 1})] == answer.content
