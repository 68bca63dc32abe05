"""Which failures are tried again on the same target."""

from __future__ import annotations

import pytest

from llmproxyd.errors import BrokeProtocol, Rejected, TimedOut, Unreachable, Verbatim
from llmproxyd.upstream.retries import retry_pause_s


def rejected(status: int, **details) -> Rejected:
    return Rejected("no", status=status, kind="api_error", **details)


@pytest.mark.parametrize(
    "error", [Unreachable("down"), rejected(502), rejected(503), rejected(529), rejected(429)]
)
def test_what_began_no_answer_is_tried_again_soon(error):
    assert 0 < retry_pause_s(error) < 1


def test_short_wait_of_the_backend_is_respected():
    assert retry_pause_s(rejected(429, retry_after_s=4.5)) == 4.5


@pytest.mark.parametrize(
    "error",
    [
        rejected(429, retry_after_s=5.1),
        rejected(500),
        rejected(400),
        rejected(503, verbatim=Verbatim(503, (), b"")),
        TimedOut("slow"),
        BrokeProtocol("cut"),
    ],
)
def test_the_rest_is_not_tried_again(error):
    assert retry_pause_s(error) is None
