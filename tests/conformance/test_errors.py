"""E01 to E09 and sections 4.1 to 4.3: what the client is told when the backend says no."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.conftest import Serve
from tests.conformance.upstream import Reply
from tests.conformance.vocabulary import MODEL, fails, request, says, user
from tests.real.daemon import BACKEND_KEY

HTML = "<html><head><title>503</title></head><body><h1>Sorry</h1></body></html>"
VLLM_OVERFLOW = {
    "object": "error",
    "message": (
        "This model's maximum context length is 32768 tokens. However, you requested 1000 output "
        "tokens and your prompt contains at least 40000 input tokens, for a total of at least "
        "41000 tokens. Please reduce the length of the input prompt."
    ),
    "type": "BadRequestError",
    "param": None,
    "code": 400,
}
LLAMA_OVERFLOW = {
    "error": {
        "code": 400,
        "message": "the request exceeds the available context size, try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 9000,
        "n_ctx": 8192,
    }
}
LITELLM_OVERFLOW = {
    "error": {
        "message": "litellm.ContextWindowExceededError: maximum context length is 8192 tokens",
        "type": None,
        "param": None,
        "code": "400",
    }
}


def too_long(prompt: int, window: int) -> str:
    return (
        f"prompt is too long: {prompt} tokens > {window} maximum "
        "(capability_rejected: prompt_too_long)"
    )


OVERFLOWS: dict[str, tuple[Reply, str]] = {
    "E01-vllm": (fails(400, VLLM_OVERFLOW), too_long(40000, 32768)),
    "E01-vllm-nested": (fails(400, {"error": VLLM_OVERFLOW}), too_long(40000, 32768)),
    "E02-llamacpp": (fails(400, LLAMA_OVERFLOW), too_long(9000, 8192)),
    "E02-llamacpp-500": (fails(500, LLAMA_OVERFLOW), too_long(9000, 8192)),
    "4.3-numbers-in-words": (
        fails(
            400, {"error": "request (9001 tokens) exceeds the available context size (8192 tokens)"}
        ),
        too_long(9001, 8192),
    ),
}


@pytest.mark.parametrize(("reply", "message"), OVERFLOWS.values(), ids=OVERFLOWS)
@pytest.mark.parametrize("streams", [True, False], ids=["stream", "json"])
async def test_context_overflow(serve: Serve, reply: Reply, message: str, *, streams: bool) -> None:
    rig = await serve(reply)
    got = await rig.ask(request(stream=streams))
    assert (400, "invalid_request_error", message) == got.error


CEREBRAS_OVERFLOW = {
    "message": (
        "Please reduce the length of the messages or completion. "
        "Current length is 70000 while limit is 65536"
    ),
    "type": "invalid_request_error",
    "param": "messages",
    "code": "context_length_exceeded",
}


async def test_overflow_at_cerebras_may_count_the_completion(serve: Serve) -> None:
    rig = await serve(fails(400, CEREBRAS_OVERFLOW), kind="cerebras")
    got = await rig.ask(request(max_tokens=1000))
    expected = [(400, "invalid_request_error", too_long(size, 65536)) for size in (70000, 69000)]
    assert got.error in expected


async def test_overflow_without_a_prompt_size_is_still_greater_than_the_window(
    serve: Serve,
) -> None:
    rig = await serve(fails(400, LITELLM_OVERFLOW))
    got = await rig.ask(request())
    assert (400, "invalid_request_error", too_long(8193, 8192)) == got.error


def no_room(prompt: int, output: int, window: int) -> dict[str, Any]:
    return {
        "object": "error",
        "message": (
            f"This model's maximum context length is {window} tokens. However, you requested "
            f"{output} output tokens and your prompt contains {prompt} input tokens."
        ),
        "type": "BadRequestError",
        "code": 400,
    }


async def test_output_that_does_not_fit_is_asked_for_again_with_less(serve: Serve) -> None:
    rig = await serve(fails(400, no_room(20000, 32000, 32768)), says())
    got = await rig.ask(request(max_tokens=32000))
    assert 200 == got.status
    sizes = [received.body["max_tokens"] for received in rig.upstream.requests]
    assert [32000, 32768 - 20000 - 64] == sizes


async def test_output_that_never_fits_has_its_own_words(serve: Serve) -> None:
    rig = await serve(fails(400, no_room(20000, 32000, 32768)))
    got = await rig.ask(request(max_tokens=32000))
    message = (
        "input length and `max_tokens` exceed context limit: 20000 + 32000 > 32768, "
        "decrease input length or `max_tokens` and try again"
    )
    assert (400, "invalid_request_error") == got.error[:2]
    assert message in got.error[2]
    assert 2 == len(rig.upstream.requests)


async def test_output_with_hardly_any_room_means_a_prompt_that_is_too_long(serve: Serve) -> None:
    rig = await serve(fails(400, no_room(32000, 4000, 32768)))
    got = await rig.ask(request(max_tokens=4000))
    assert (400, "invalid_request_error", too_long(32769, 32768)) == got.error


WAITS: dict[str, tuple[dict[str, str], str | None]] = {
    "E03-fraction": ({"retry_after": "1.2"}, "2"),
    "E03-zero": ({"retry_after": "0"}, "1"),
    "E03-long": ({"retry_after": "3600"}, "3600"),
    "E03-milliseconds-first": ({"retry_after": "9", "retry_after_ms": "1500"}, "2"),
    "E03-exhausted-bucket": (
        {
            "x_ratelimit_remaining_requests_day": "5",
            "x_ratelimit_reset_requests_day": "9000.0",
            "x_ratelimit_remaining_tokens_minute": "0",
            "x_ratelimit_reset_tokens_minute": "11.4",
        },
        "12",
    ),
    "E03-openai-form": (
        {"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "1m0.5s"},
        "61",
    ),
    "E03-date": (
        {
            "date": "Wed, 21 Oct 2026 07:28:00 GMT",
            "retry_after": "Wed, 21 Oct 2026 07:28:30 GMT",
        },
        "30",
    ),
    "E03-in-words": ({}, "3"),
    "E03-unknown": ({}, None),
}


@pytest.mark.parametrize(("headers", "expected"), WAITS.values(), ids=WAITS)
async def test_retry_after(serve: Serve, headers: dict[str, str], expected: str | None) -> None:
    words = "try again in 2.5s" if expected == "3" else "m"
    rig = await serve(fails(429, {"error": {"message": words}}, **headers))
    got = await rig.ask(request())
    assert (429, "rate_limit_error") == got.error[:2]
    assert expected == got.headers.get("retry-after")
    assert not [name for name in got.headers if name.startswith("anthropic-ratelimit-unified")]


def said(status: int, body: Any, **headers: str) -> Reply:
    return fails(status, body, **headers)


NO_RETRY = {"x-should-retry": "false"}
# Reply to status, type, the exact message without prefix (None: any) and headers.
Told = tuple[Reply, int, str, str | None, dict[str, str]]
MAPPING: dict[str, Told] = {
    "E04-html": (
        said(503, HTML, content_type="text/html"),
        529,
        "overloaded_error",
        "upstream returned HTML (status 503)",
        {},
    ),
    "E05-text-error": (said(404, {"error": "model not loaded"}), 404, "not_found_error", None, {}),
    "400": (said(400, {"error": {"message": "m"}}), 400, "invalid_request_error", "m", {}),
    "422-fastapi": (
        said(422, {"detail": [{"loc": ["body", "x"], "msg": "bad"}]}),
        400,
        "invalid_request_error",
        None,
        {},
    ),
    "401": (said(401, {"detail": "who?"}), 401, "authentication_error", "who?", NO_RETRY),
    "402": (said(402, {"error": {"message": "m"}}), 402, "billing_error", "m", {}),
    "429-quota": (
        said(429, {"error": {"message": "m", "code": "insufficient_quota"}}),
        402,
        "billing_error",
        "m",
        {},
    ),
    "403": (said(403, {"message": "m"}), 403, "permission_error", "m", {}),
    "403-moderation": (
        said(403, {"error": {"message": "m", "metadata": {"reasons": ["r"]}}}),
        400,
        "invalid_request_error",
        None,
        {},
    ),
    "405": (said(405, {"detail": "m"}), 500, "api_error", None, NO_RETRY),
    "408": (said(408, {"error": "m"}), 504, "timeout_error", "m", {}),
    "409": (said(409, {"error": "m"}), 409, "conflict_error", "m", {}),
    "413": (said(413, {"error": "m"}), 413, "request_too_large", "m", {}),
    "429-queue": (
        said(429, {"message": "m", "code": "queue_exceeded"}),
        529,
        "overloaded_error",
        "m",
        {},
    ),
    "500": (said(500, {"error": {"message": "m"}}), 500, "api_error", "m", {}),
    "500-template": (
        said(500, {"error": {"message": "Jinja exception: no"}}),
        500,
        "api_error",
        None,
        NO_RETRY,
    ),
    "502-empty": (said(502, ""), 502, "api_error", None, {}),
    "504": (said(504, {"error": "m"}), 504, "timeout_error", "m", {}),
    "524-html": (
        said(524, HTML, content_type="text/html"),
        504,
        "timeout_error",
        "upstream returned HTML (status 524)",
        {},
    ),
    "529": (said(529, {"errors": ["m"]}), 529, "overloaded_error", None, {}),
    "302": (said(302, "", location="http://x.test/"), 502, "api_error", None, {}),
    "400-model-not-found": (
        said(400, {"error": {"message": "model not found"}}),
        404,
        "not_found_error",
        None,
        {},
    ),
}


@pytest.mark.parametrize(
    ("reply", "status", "kind", "message", "headers"), MAPPING.values(), ids=MAPPING
)
async def test_status_mapping(
    serve: Serve,
    reply: Reply,
    status: int,
    kind: str,
    message: str | None,
    headers: dict[str, str],
) -> None:
    rig = await serve(reply)
    got = await rig.ask(request(stream=True))
    assert (status, kind) == got.error[:2]
    if message is not None:
        assert f"[up] {message}" == got.error[2]
    assert "<" not in got.error[2]
    hints = {name: got.headers[name] for name in NO_RETRY if name in got.headers}
    assert headers == hints


@pytest.mark.parametrize("body", [{"error": "model not loaded"}, {"detail": "Not Found"}])
async def test_unknown_model_is_named_first_e05(serve: Serve, body: Any) -> None:
    rig = await serve(fails(404, body))
    got = await rig.ask(request())
    assert got.error[2].startswith(f"model: {MODEL}")


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "json"])
async def test_refused_connection_names_the_place_e06(
    serve: Serve, unused_tcp_port: int, *, streams: bool
) -> None:
    place = f"127.0.0.1:{unused_tcp_port}"
    rig = await serve(url=f"http://{place}")
    got = await rig.ask(request(stream=streams))
    assert (502, "api_error") == got.error[:2]
    assert f"backend up is not running at {place}" in got.error[2]


BAD_BODIES = [b"{not json", b"", b"[1]", b"\xff\xfe", b'"text"']


@pytest.mark.parametrize("raw", BAD_BODIES)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_body_that_is_no_json_object_e07(serve: Serve, raw: bytes, path: str) -> None:
    rig = await serve()
    got = await rig.ask(raw, path)
    assert (400, "invalid_request_error") == got.error[:2]
    assert [] == rig.upstream.requests


async def test_unknown_route_e07(serve: Serve) -> None:
    rig = await serve()
    got = await rig.ask({}, "/v1/nothing")
    assert (404, "not_found_error") == got.error[:2]
    wrong = await rig.get("/v1/messages")
    wrong.check()
    assert (405, "invalid_request_error") == wrong.error[:2]


INVALID: dict[str, dict[str, Any]] = {
    "model-absent": {"model": None},
    "model-number": {"model": 7},
    "max_tokens-text": {"max_tokens": "many"},
    "messages-text": {"messages": "hi"},
    "messages-empty": {"messages": []},
    "content-number": {"messages": [user(7)]},
    "call-without-id": {
        "messages": [
            user("x"),
            {"role": "assistant", "content": [{"type": "tool_use", "name": "T"}]},
        ]
    },
    "call-without-name": {
        "messages": [user("x"), {"role": "assistant", "content": [{"type": "tool_use", "id": "a"}]}]
    },
    "result-without-id": {"messages": [user({"type": "tool_result", "content": "x"})]},
}


@pytest.mark.parametrize("fields", INVALID.values(), ids=INVALID)
async def test_invalid_request_is_refused_here(serve: Serve, fields: dict[str, Any]) -> None:
    rig = await serve()
    got = await rig.ask(request() | fields)
    assert (400, "invalid_request_error") == got.error[:2]
    assert [] == rig.upstream.requests


async def test_missing_max_tokens_has_anthropics_words(serve: Serve) -> None:
    rig = await serve()
    body = request()
    del body["max_tokens"]
    got = await rig.ask(body)
    assert (400, "invalid_request_error", "max_tokens: Field required") == got.error


LEAKS = [
    f"Incorrect API key provided: {BACKEND_KEY}",
    f"bad header Authorization: Bearer {BACKEND_KEY}",
    "no such key sk-abcdefghijklmnopqrstuvwx and csk-abcdefghijklmnopqrstuvwx",
]


@pytest.mark.parametrize("words", LEAKS)
@pytest.mark.parametrize("status", [401, 500, 200])
async def test_echoed_key_is_redacted_e08(serve: Serve, words: str, status: int) -> None:
    rig = await serve(fails(status, {"error": {"message": words, "code": status}}))
    got = await rig.ask(request(stream=True))
    assert got.status >= 400
    for secret in (BACKEND_KEY, "sk-abcdefgh"):
        assert secret.encode() not in got.raw
        assert secret not in rig.output.getvalue()


async def test_long_message_is_cut(serve: Serve) -> None:
    rig = await serve(fails(400, {"error": {"message": "x" * 9000}}))
    assert len((await rig.ask(request())).error[2]) <= 2000 + len("[up] …")


async def test_silent_truncation_is_refused_here_e09(serve: Serve) -> None:
    rig = await serve(kind="ollama", context_window=4096)
    got = await rig.ask(request(user("word " * 16_000)))
    assert (400, "invalid_request_error") == got.error[:2]
    message = got.error[2]
    assert message.startswith("prompt is too long: ")
    assert message.endswith(" tokens > 4096 maximum (capability_rejected: prompt_too_long)")
    assert 15_000 < int(message.split()[4]) < 25_000
    assert [] == rig.upstream.requests


async def test_prompt_that_fits_goes_to_ollama_e09(serve: Serve) -> None:
    rig = await serve(kind="ollama", limits={MODEL: {"context_window": 65536}})
    assert 200 == (await rig.ask(request(user("word " * 16_000)))).status


@pytest.mark.parametrize("status", [502, 503, 529])
async def test_retry_of_our_own_hides_one_failure(serve: Serve, status: int) -> None:
    rig = await serve(fails(status, {"error": "m"}, retry_after="0"), says(), retries=1)
    assert 200 == (await rig.ask(request(stream=True))).status
    assert 2 == len(rig.upstream.requests)
