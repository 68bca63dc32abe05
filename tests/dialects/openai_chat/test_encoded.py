"""What the request side leaves for the answer."""

from __future__ import annotations

from llmproxyd.dialects.openai_chat.encoded import Encoded


def test_nothing_but_the_body_has_to_be_given():
    encoded = Encoded(body=b"{}")
    assert (encoded.notes, encoded.names, encoded.proxy_stops) == ((), {}, ())
    assert (encoded.history_ids, encoded.raw_prompt_tokens) == (frozenset(), 0)
