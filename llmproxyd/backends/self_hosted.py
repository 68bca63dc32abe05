"""Any server of one's own: Messages or Chat Completions, found out or told by `protocol`.

Also home of the older Python proxies, which answer a stream request with plain JSON. Messages
from a server that is not Anthropic's are repaired (translation spec, section 8, last part).
"""

from __future__ import annotations

from llmproxyd.dialects.anthropic.dialect import Anthropic
from llmproxyd.dialects.openai_chat.dialect import OpenAIChat
from llmproxyd.spi import Backend, Quirks

BACKEND = Backend(
    kind="self-hosted",
    dialects=(OpenAIChat(), Anthropic()),
    placeholder_key="dummy",
    quirks=Quirks(repair=True),
)
