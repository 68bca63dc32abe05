from llmproxyd.config.schema import SecretRef

SERVERLESS = "https://api.runpod.ai/v2/abc123/openai/v1"
POD = "https://pod9-8000.proxy.runpod.net"
ENV = {"RUNPOD_API_KEY": "rpa_account"}


def test_serverless_endpoint_gets_the_key_that_the_configuration_names(entry, send) -> None:
    backend = entry("runpod", ENV, url=SERVERLESS, api_key=SecretRef(env="RUNPOD_API_KEY"))
    sent = send(backend, (), "openai")
    assert sent.url == f"{SERVERLESS}/chat/completions"
    assert sent.headers["authorization"] == "Bearer rpa_account"


def test_pod_never_gets_the_key_of_the_account_unasked(entry, send) -> None:
    sent = send(entry("runpod", ENV, url=POD), (), "openai")
    assert sent.url == f"{POD}/v1/chat/completions"
    assert "rpa_account" not in repr(sent.raw)


def test_output_budget_is_always_sent(entry, send) -> None:
    assert send(entry("runpod", url=POD), (), "openai").body["max_tokens"] == 32_000


def test_has_the_presets_of_its_usual_server(entry, send) -> None:
    backend = entry("runpod", url=POD, model="Qwen/Qwen3-32B")
    body = send(backend, (), "openai", thinking={"type": "disabled"}, top_k=5).body
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert body["top_k"] == 5


def test_has_patience_for_a_cold_start(entry) -> None:
    assert entry("runpod", url=SERVERLESS).timeouts.first_byte_s == 900
