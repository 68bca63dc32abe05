from __future__ import annotations

import pytest

from llmproxyd.wire.usage import Usage

NOTHING = {
    "input_tokens": 0,
    "output_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(), NOTHING),
        (Usage(is_estimated=True), NOTHING),
        (
            Usage(1, 2, 3, 4),
            {
                "input_tokens": 1,
                "output_tokens": 2,
                "cache_read_input_tokens": 3,
                "cache_creation_input_tokens": 4,
            },
        ),
        (Usage(thinking_tokens=0), NOTHING | {"output_tokens_details": {"thinking_tokens": 0}}),
    ],
)
def test_usage_on_the_wire(usage, expected):
    assert expected == usage.as_wire()
