import pytest

from llmproxyd.config.schema import SecretRef

URL = "https://llm.example/api/v1"
KEY = SecretRef(literal="sk-own-key")


def test_goes_to_the_configured_address_with_its_key(entry, send) -> None:
    sent = send(entry("openai-compatible", url=URL, api_key=KEY, model="m"))
    assert sent.url == f"{URL}/chat/completions"
    assert sent.headers["authorization"] == "Bearer sk-own-key"


def test_without_a_key_no_credential_is_sent(entry, send) -> None:
    assert "authorization" not in send(entry("openai-compatible", url=URL, model="m")).headers


def test_generic_model_gets_the_generic_fields(entry, send) -> None:
    body = send(entry("openai-compatible", url=URL, model="m"), temperature=0.5, top_k=7).body
    assert (32_000, 0.5) == (body["max_tokens"], body["temperature"])
    assert "top_k" not in body


@pytest.mark.parametrize("model", ["gpt-5.1", "gpt-5-mini", "o4-mini"])
def test_openai_reasoning_models_are_known_by_name(entry, send, model) -> None:
    body = send(
        entry("openai-compatible", url=URL, model=model),
        temperature=0.5,
        stop_sequences=["X"],
        thinking={"type": "disabled"},
    ).body
    assert (32_000, "low") == (body["max_completion_tokens"], body["reasoning_effort"])
    assert not {"max_tokens", "temperature", "stop"} & set(body)


def test_gpt_oss_is_not_one_of_them(entry, send) -> None:
    body = send(entry("openai-compatible", url=URL, model="gpt-oss-120b"), temperature=0.5).body
    assert {"max_tokens", "temperature"} <= set(body)
