from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxyd.wire.signature import Signer, is_ours, sign


def test_signature_is_recognisable_and_stable():
    assert re.fullmatch(r"llmproxyd\.[A-Za-z0-9_-]{16}", sign("thought"))
    assert sign("thought") == sign("thought") != sign("other")
    assert is_ours(sign(""))


@pytest.mark.parametrize("signature", ["", "EqQBCkYIBxgC", "llmproxy"])
def test_other_signatures_are_not_ours(signature):
    assert not is_ours(signature)


@given(st.lists(st.text(max_size=9), max_size=5))
def test_pieces_are_signed_like_the_whole(pieces):
    signer = Signer()
    for piece in pieces:
        signer.update(piece)
    assert sign("".join(pieces)) == signer.signature()


def test_lone_surrogate_can_be_signed():
    assert is_ours(sign("\ud800"))
