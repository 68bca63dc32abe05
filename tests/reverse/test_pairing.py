import pytest

from llmproxyd.reverse.pairing import pair_tools
from tests.reverse.chat import text


def use(call_id):
    return {"type": "tool_use", "id": call_id, "name": "f", "input": {}}


def result(call_id, *content):
    block = {"type": "tool_result", "tool_use_id": call_id}
    return block | {"content": [text(piece) for piece in content]} if content else block


MISSING = "(no result was recorded for this tool call)"
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}


def paired(calls, blocks):
    """The user turn after `calls`."""
    return pair_tools([("user", [text("go")]), ("assistant", calls), ("user", blocks)])[2][1]


@pytest.mark.parametrize(
    ("calls", "blocks", "expected"),
    [
        # in the order of the calls, before everything else
        (
            [use("a"), use("b")],
            [text("note"), result("b", "2"), result("a", "1")],
            [result("a", "1"), result("b", "2"), text("note")],
        ),
        # missing, empty and doubled results
        ([use("a"), use("b")], [result("a", "1")], [result("a", "1"), result("b", MISSING)]),
        ([use("a")], [text("never mind")], [result("a", MISSING), text("never mind")]),
        ([use("a")], [result("a")], [result("a")]),
        ([use("a")], [result("a", "1"), result("a", "2")], [result("a", "1", "2")]),
        # results of no call before them
        (
            [use("a")],
            [result("zz", "x"), result("a", "1")],
            [result("a", "1"), text("[Result of an earlier tool call zz]\nx")],
        ),
        (
            [],
            [result("zz", "x", "y") | {"content": [text("x"), IMAGE, text("y")]}, result("q")],
            [
                text("[Result of an earlier tool call zz]\nx\ny"),
                IMAGE,
                text("[Result of an earlier tool call q]"),
            ],
        ),
        # one id for two calls: results by position
        (
            [use("c"), use("c")],
            [result("c", "1"), result("c", "2"), result("c", "3")],
            [result("c", "1"), result("c_2", "2", "3")],
        ),
        # ids that Messages does not allow
        (
            [use("functions.f:0")],
            [result("functions.f:0", "1")],
            [result("call_d6bdd4de328a22edd610f954", "1")],
        ),
    ],
)
def test_results_after_calls(calls, blocks, expected):
    assert expected == paired(calls or [text("ok")], blocks)


def test_conversation_that_ends_with_a_call_gets_its_result():
    turns = pair_tools([("user", [text("go")]), ("assistant", [use("a")])])
    assert ("user", [result("a", MISSING)]) == turns[-1]


def test_ids_that_repeat_over_turns_are_told_apart():
    turn = [("assistant", [use("c")]), ("user", [result("c", "1")])]
    turns = pair_tools([("user", [text("go")]), *turn, *turn, *turn])
    assert ["c", "c_2", "c_3"] == [blocks[0]["id"] for _, blocks in turns[1::2]]
    assert ["c", "c_2", "c_3"] == [blocks[0]["tool_use_id"] for _, blocks in turns[2::2]]


def test_made_up_ids_avoid_given_ones():
    calls = [use("c"), use("c_2"), use("c"), use("c_2")]
    turns = pair_tools([("user", [text("go")]), ("assistant", calls)])
    assert ["c", "c_2", "c_3", "c_2_2"] == [block["id"] for block in turns[1][1]]


def test_input_is_not_changed():
    calls, blocks = [use("é")], [result("é", "1")]
    paired(calls, blocks)
    assert ([use("é")], [result("é", "1")]) == (calls, blocks)
