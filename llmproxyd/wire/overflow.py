r"""Context overflow: recognised in every known wording, said again in the one that clients heal.

The Claude CLI compacts its conversation, or asks for less output, only when it reads Anthropic's
own sentence (translation spec, section 4.3). Every server has another one, so this file is two
tables: phrases that mean "too long", and patterns for the three numbers a sentence may hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

# A window error may come with any of these; None is an error inside a stream.
OVERFLOW_STATUSES = frozenset({None, 400, 413, 422, 500})

# Tokens left free when a request is repeated with a smaller output budget, and the smallest
# budget worth repeating it for (translation spec, section 4.3 B).
BUDGET_MARGIN = 64
BUDGET_MIN = 1024

_CODES = ("context_length_exceeded", "exceed_context_size_error")

_PHRASES = re.compile(
    r"""
      ContextWindowExceededError                        # LiteLLM
    | context_length_exceeded                           # OpenAI's code, quoted by a gateway
    | maximum\ context\ length\ is                      # OpenAI, vLLM, DeepSeek, OpenRouter
    | \d\ maximum\ context\ length                      # Mistral
    | model's\ context\ length\ is\ only                # newer vLLM
    | longer\ than\ the\ maximum\ model\ length         # older vLLM
    | longer\ than\ the\ (?:model's\ )?context\ length  # SGLang, Ollama
    | exceeds\ the\ context\ length                     # Ollama
    | exceeds\ the\ model's\ maximum\ context           # Ollama
    | context\ length\ currently\ available             # Ollama
    | exceeded\ max\ context\ length                    # Ollama
    | exceeds\ the\ available\ context\ size            # llama.cpp
    | larger\ than\ the\ max\ context\ size             # llama.cpp
    | exceeds?\ the\ context\ window                    # OpenAI
    | tokens\ exceed\ the\ configured\ limit            # OpenAI
    | reduce\ the\ length\ of\ the\ messages            # Cerebras, OpenAI
    | exceeds\ the\ maximum\ number\ of\ tokens         # Gemini
    | requested\ token\ count\ exceeds                  # SGLang
    | maximum\ prompt\ length\ is                       # xAI
    | exceeded\ model\ token\ limit                     # Moonshot
    | context\ length\ of\ only                         # LM Studio
    | prompt\ (?:is\ )?too\ long                        # Anthropic and its imitators
    | exceed\ context\ limit                            # Anthropic, form B
    | input\ is\ too\ long                              # Bedrock
    """,
    re.IGNORECASE | re.VERBOSE,
)

_N = r"(\d{1,12})"

# The first pattern of a table that matches gives the number.
_WINDOW = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"exceed context limit: \d+ \+ \d+ > {_N}",
        rf"tokens > {_N} maximum",
        rf"(?:maximum|model's) (?:context|prompt) length (?:is only|is|of) {_N}",
        rf"(?:context|model) length (?:of only|of|is only|is|currently available:?) {_N}",
        rf"{_N} maximum context length",
        rf"(?:context size|context length|maximum number of tokens allowed) \({_N}",
        rf"maximum number of tokens(?: is|:)? {_N}",
        rf"limit is {_N}",
        rf"(?:limit of|token limit:) {_N}",
    )
)
_OUTPUT = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"exceed context limit: \d+ \+ {_N} >",
        rf"requested {_N} output tokens",
        rf"{_N} (?:in the (?:completion|output)|tokens for the completion)",
        rf"max_(?:completion_)?tokens['`\"]? is too large: {_N}",
    )
)
_PROMPT = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"exceed context limit: {_N} \+",
        rf"too long: {_N} tokens",
        rf"resulted in {_N} tokens",
        rf"{_N} (?:input tokens|tokens from the input)",
        rf"(?:request|input|prompt|input length) \((?:length )?{_N}",
        rf"(?:request|prompt) contains (?:at least )?{_N} tokens",
        rf"input token count \({_N}\)",
        rf"current length is {_N}",
        rf"keep the first {_N} tokens",
        rf"\(requested: {_N}\)",
    )
)
_AT_LEAST = re.compile(r"contains at least \d", re.IGNORECASE)

# OpenAI and OpenRouter name the parts of a prompt, which add up.
_PROMPT_PARTS = re.compile(rf"{_N} (?:in the (?:messages|functions)|of (?:text|tool) input)")


class Overflow(msgspec.Struct, frozen=True):
    """A request that did not fit, in tokens; None is a number the backend did not tell.

    Attributes:
        prompt_tokens: length of the prompt (N in the specification).
        window: what prompt and answer may take together (M).
        output_tokens: the answer's budget that was asked for (O).
        is_at_least: `prompt_tokens` is a lower bound; vLLM stops counting at the limit.
    """

    prompt_tokens: int | None = None
    window: int | None = None
    output_tokens: int | None = None
    is_at_least: bool = False

    def completed(self, *, estimate: int, window: int | None) -> Overflow:
        """These numbers, with our own where the backend told none.

        Args:
            estimate: our count of the prompt, used to raise a lower bound.
            window: the configured context window.
        """
        prompt = self.prompt_tokens
        if prompt is not None and self.is_at_least:
            prompt = max(prompt, estimate)
        return Overflow(prompt, self.window or window, self.output_tokens)


def find_overflow(text: str, fields: Mapping[str, object]) -> Overflow | None:
    """What an error says about the context window; None when it is about something else.

    Args:
        text: the error message.
        fields: the error object it came in; `type`, `code`, `n_prompt_tokens` and `n_ctx` count.
    """
    is_named = any(fields.get(name) in _CODES for name in ("type", "code"))
    if not is_named and not _PHRASES.search(text):
        return None
    return Overflow(
        prompt_tokens=_whole(fields.get("n_prompt_tokens")) or _prompt_tokens(text),
        window=_whole(fields.get("n_ctx")) or _first_number(_WINDOW, text),
        output_tokens=_first_number(_OUTPUT, text),
        is_at_least=_AT_LEAST.search(text) is not None,
    )


def budget_that_fits(overflow: Overflow) -> int | None:
    """The output budget to repeat the request with, when only the budget was too large.

    `overflow` should be `completed`. None: repeating the request would not help.
    """
    prompt, window, output = overflow.prompt_tokens, overflow.window, overflow.output_tokens
    if prompt is None or window is None or output is None:
        return None
    budget = window - prompt - BUDGET_MARGIN
    return budget if BUDGET_MIN <= budget < output else None


def overflow_message(overflow: Overflow, *, estimate: int) -> str:
    """The sentence that makes the client compact (form A) or ask for less output (form B).

    Args:
        overflow: what is known; should be `completed`.
        estimate: our own count of the prompt, for a backend that told none.
    """
    prompt, window, output = overflow.prompt_tokens, overflow.window, overflow.output_tokens
    if prompt is None:
        prompt = max(estimate, (window or 0) + 1)
    if window is None:
        return too_long_message(prompt, max(1, prompt - 1))
    if output is not None and BUDGET_MIN <= window - prompt < output:
        return budget_message(prompt, output, window)
    return too_long_message(prompt, window)


def too_long_message(prompt_tokens: int, window: int) -> str:
    """Form A: the prompt alone does not fit. The number told is always above the window."""
    prompt_tokens = max(prompt_tokens, window + 1)
    return (
        f"prompt is too long: {prompt_tokens} tokens > {window} maximum "
        "(capability_rejected: prompt_too_long)"
    )


def budget_message(prompt: int, output: int, window: int) -> str:
    """Form B: the prompt fits, prompt and output budget together do not."""
    return (
        f"input length and `max_tokens` exceed context limit: {prompt} + {output} > {window}, "
        "decrease input length or `max_tokens` and try again"
    )


def _prompt_tokens(text: str) -> int | None:
    found = _first_number(_PROMPT, text)
    if found is not None:
        return found
    parts = _PROMPT_PARTS.findall(text)
    return sum(map(int, parts)) if parts else None


def _first_number(patterns: tuple[re.Pattern[str], ...], text: str) -> int | None:
    for pattern in patterns:
        if match := pattern.search(text):
            return int(match[1])
    return None


def _whole(value: object) -> int | None:
    """A positive integer field, or None."""
    return value if isinstance(value, int) and value > 0 and value is not True else None
