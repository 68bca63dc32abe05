import base64
import math
import struct
import timeit
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.wire.tokens import (
    estimate_output_tokens,
    estimate_prompt_tokens,
    estimate_text_tokens,
)


def png(width: int, height: int, padding: int = 0) -> str:
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height)
    return base64.b64encode(head + b"\0" * padding).decode()


def image(data: str) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def document(**source: Any) -> dict[str, Any]:
    return {"type": "document", "source": source}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": content}


def tool(name: str, **extra: Any) -> dict[str, Any]:
    return {"name": name, "description": "d" * 70, "input_schema": {"type": "object"}, **extra}


def block_tokens(block: Any, **options: bool) -> int:
    """What one block of a user message adds."""
    with_block = estimate_prompt_tokens({"messages": [user(block)]}, **options)
    return with_block - estimate_prompt_tokens({"messages": [user()]}, **options)


def tool_tokens(*tools: Any, messages: Any = ()) -> int:
    """What the tools of a request add."""
    body = {"messages": list(messages)}
    return estimate_prompt_tokens({**body, "tools": list(tools)}) - estimate_prompt_tokens(body)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", 0),
        ("a" * 400, 100),
        ("a" * 401, 101),
        ("漢字かなカナ한글" * 10, math.ceil(80 * 0.9)),
        ("\uff0c\u3002\uff01" * 10, 27),  # full-width punctuation
        ("\ue000" * 2, 3),
        ("é" * 10, 10),  # two bytes each, half a token a byte
        ("😀" * 10, 20),
        ("abcdé漢", math.ceil(1 + 1 + 0.9)),
        ("\ud800abc", 1),  # a lone surrogate goes up as one replacement
    ],
)
def test_text_is_measured_by_its_script(content: str, expected: int) -> None:
    assert expected == estimate_text_tokens(content)


def test_output_counts_text_and_tool_arguments_at_their_own_rates() -> None:
    assert 100 + 10 == estimate_output_tokens(["a" * 200, "b" * 200], ["x" * 33])


def test_empty_request_costs_its_frame() -> None:
    assert 3 == estimate_prompt_tokens({})


def test_parts_of_the_wrong_type_count_nothing() -> None:
    assert 3 == estimate_prompt_tokens({"system": 7, "messages": ["hi", None], "tools": {"a": 1}})


def test_each_message_has_a_price() -> None:
    assert 3 + 2 * (4 + 25) == estimate_prompt_tokens(
        {"messages": [user(text("a" * 100)), {"role": "assistant", "content": "b" * 100}]}
    )


def test_system_counts_as_string_and_as_blocks_but_not_its_billing_line() -> None:
    blocks = [text("x-anthropic-billing-header: cc_version=1; cch=abc"), text("a" * 400)]
    assert 103 == estimate_prompt_tokens({"system": blocks})
    assert 103 == estimate_prompt_tokens({"system": "a" * 400})


def test_tool_use_and_results_are_dense() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "x" * 330}
    assert 100 == block_tokens(result)
    assert 100 == block_tokens({**result, "content": [text("x" * 330)]})
    arguments = {"type": "tool_use", "id": "t", "name": "T", "input": {"k": "x" * 330}}
    assert 100 < block_tokens(arguments) < 110


def test_non_ascii_json_is_measured_by_its_script_too() -> None:
    arguments = {"type": "tool_use", "id": "t", "name": "T", "input": {"k": "漢" * 100}}
    assert 90 < block_tokens(arguments) < 100


def test_t01_64_kb_of_tools_count_at_least_8000() -> None:
    tools = [tool(f"Tool{index}", input_schema={"about": "x" * 2600}) for index in range(24)]
    assert len(msgspec.json.encode(tools)) > 64_000
    tokens = estimate_prompt_tokens({"model": "m", "messages": [], "tools": tools})
    assert 8_000 <= tokens <= 64_000 / 3


def test_t02_2_mb_image_counts_less_than_2000() -> None:
    data = png(4000, 3000, padding=1_500_000)
    assert len(data) > 2_000_000
    assert estimate_prompt_tokens({"messages": [user(image(data))]}) < 2_000


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"type": "base64", "data": png(750, 100)}, 100),
        ({"type": "base64", "data": png(751, 100)}, 101),
        ({"type": "base64", "data": png(1, 1)}, 1),
        ({"type": "base64", "data": png(9000, 9000)}, 1600),
        ({"type": "base64", "data": "undecodable"}, 1600),
        ({"type": "base64", "data": None}, 1600),
        ({"type": "url", "url": "https://example.test/a.png"}, 1600),
        (None, 1600),
    ],
)
def test_images_count_by_their_pixels(source: Any, expected: int) -> None:
    assert expected == block_tokens({"type": "image", "source": source})


def test_images_in_tool_results_count() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image(png(750, 100))]}
    assert 100 == block_tokens(result)


def test_images_for_a_model_without_vision_cost_a_few_words() -> None:
    assert block_tokens(image(png(4000, 3000)), has_vision=False) < 20


def pdf(content: bytes) -> dict[str, Any]:
    return document(type="base64", data=base64.b64encode(content).decode())


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (pdf(b"%PDF-1.4 << /Type /Pages >> << /Type /Page >> <</Type/Page>>"), 3600),
        (pdf(b"%PDF-1.7 compressed objects".ljust(4998)), 100),
        (pdf(b"x" * 1_500_000), 30_000),
        (document(type="url", url="https://example.test/a.pdf"), 1800),
        (document(type="text", data="a" * 400), 100),
        (document(type="content", content=[text("a" * 400)]), 100),
        ({**document(type="text", data="a" * 400), "title": "t" * 40, "context": "c" * 40}, 120),
        (document(type="text", data=None), 0),
        ({"type": "document", "source": "odd"}, 0),
        ({"type": "search_result", "title": "t" * 4, "content": [text("a" * 40)]}, 11),
        ({"type": "tool_reference", "tool_name": "WebFetch"}, 7),
        ({"type": "redacted_thinking", "data": "x" * 9000}, 0),
        ({"type": "from_the_future", "data": "x" * 9000}, math.ceil(4000 / 3.3)),
        ("not a block", 0),
        ({"type": "text", "text": None}, 0),
    ],
)
def test_other_blocks_count_what_is_sent_for_them(block: Any, expected: int) -> None:
    assert expected == block_tokens(block)


def test_pdf_that_is_not_sent_costs_a_few_words() -> None:
    assert block_tokens(pdf(b"x" * 1_500_000), reads_pdf=False) < 20


def test_thinking_counts_in_the_running_turn_only() -> None:
    thinking = {"type": "thinking", "thinking": "a" * 400, "signature": "s" * 400}
    loop = [user(text("go")), {"role": "assistant", "content": [thinking]}]
    result = user({"type": "tool_result", "tool_use_id": "t", "content": ""})
    reminder = text("<system-reminder>x</system-reminder>")

    def without(messages: list[Any]) -> int:
        bare = [{**message, "content": message["content"]} for message in messages]
        bare[1] = {"role": "assistant", "content": []}
        return estimate_prompt_tokens({"messages": bare})

    for ending, expected in (
        ([], 100),
        ([result], 100),
        ([user(reminder)], 100),
        ([{"role": "user", "content": "<system-reminder>x"}], 100),
        ([user(text("next"))], 0),
        ([{"role": "user", "content": "next"}], 0),
    ):
        messages = loop + ending
        assert expected == estimate_prompt_tokens({"messages": messages}) - without(messages)


def test_deferred_tools_count_once_a_search_has_named_them() -> None:
    search, plain = tool("ToolSearch"), tool("Read")
    deferred, placeholder = (
        tool("WebFetch", defer_loading=True),
        tool("DeferredToolPlaceholder", defer_loading=True),
    )
    found = user(
        {
            "type": "tool_result",
            "tool_use_id": "t",
            "content": [{"type": "tool_reference", "tool_name": "WebFetch"}],
        }
    )
    base = tool_tokens(search, plain)
    assert base == tool_tokens(search, plain, deferred, placeholder)
    assert base < tool_tokens(search, plain, deferred, messages=[found])
    assert tool_tokens(plain) < tool_tokens(plain, deferred)
    assert tool_tokens(plain) == tool_tokens(plain, placeholder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("data"), inner),
    max_leaves=3,
)
KINDS = ("text", "tool_use", "tool_result", "thinking", "image", "document", "search_result")
BLOCKS = st.fixed_dictionaries(
    {"type": st.sampled_from([*KINDS, "tool_reference", "other", 7, None, []])},
    optional=dict.fromkeys(("text", "thinking", "input", "content", "source", "tool_name"), JSON),
)
MESSAGES = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", None, 7]),
        "content": JSON | st.lists(BLOCKS, max_size=2),
    }
)
TOOLS = st.fixed_dictionaries({"name": JSON, "defer_loading": JSON})
BODIES = st.fixed_dictionaries(
    {
        "system": JSON | st.lists(BLOCKS, max_size=2),
        "messages": JSON | st.lists(MESSAGES | JSON, max_size=3),
        "tools": JSON | st.lists(TOOLS | JSON, max_size=2),
    }
)


@settings(max_examples=100)
@given(BODIES)
def test_odd_shapes_never_raise_and_never_change(body: dict[str, Any]) -> None:
    before = repr(body)
    assert estimate_prompt_tokens(body) >= 3
    assert before == repr(body)


def test_a_request_of_the_usual_size_is_estimated_in_a_fraction_of_a_millisecond() -> None:
    properties = {
        f"p{index}": {"type": "string", "description": "what it is"} for index in range(9)
    }
    tools = [tool("T", description="d" * 1200, input_schema={"properties": properties})] * 36
    messages = [user(text("hello world " * 80))] * 25
    body = msgspec.json.decode(
        msgspec.json.encode({"system": "s" * 14_000, "tools": tools, "messages": messages})
    )
    assert len(msgspec.json.encode(body)) > 97_000
    best_s = min(timeit.repeat(lambda: estimate_prompt_tokens(body), number=5, repeat=10)) / 5
    assert best_s < 0.002  # about 0.1 ms on an idle machine
