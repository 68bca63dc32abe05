import msgspec
import pytest

from llmproxyd.config.schema import SecretRef

KEYS = (("X-Api-Key", "sk-ant-client"), ("anthropic-version", "2023-06-01"))
TOKEN = (("Authorization", "Bearer oauth-client"), ("anthropic-beta", "one,two"))


def test_is_the_default_and_goes_to_anthropic(entry, send) -> None:
    backend = entry("anthropic")
    assert backend.backend.is_default
    assert send(backend, KEYS).url == "https://api.anthropic.com/v1/messages"


@pytest.mark.parametrize("headers", [KEYS, TOKEN])
def test_credential_and_headers_of_the_client_go_through(entry, send, headers) -> None:
    sent = send(entry("anthropic"), headers)
    assert {name.lower(): value for name, value in headers}.items() <= sent.headers.items()


def test_configured_key_takes_the_place_of_the_clients(entry, send) -> None:
    sent = send(entry("anthropic", api_key=SecretRef(literal="sk-ant-own")), KEYS + TOKEN)
    assert "client" not in repr(sent.raw.headers)
    assert "sk-ant-own" in repr(sent.raw.headers)


def test_key_in_the_environment_is_not_taken_unasked(entry, send) -> None:
    sent = send(entry("anthropic", {"ANTHROPIC_API_KEY": "sk-ant-env"}), TOKEN)
    assert "sk-ant-env" not in repr(sent.raw.headers)


def test_body_goes_through_byte_for_byte(entry, send) -> None:
    sent = send(entry("anthropic"), KEYS, context_management={"edits": []}, unknown=[1, 2.50])
    assert b'"context_management":{"edits":[]},"unknown":[1,2.5]' in sent.raw.body
    assert sent.body["model"] == "claude-opus-5-5"


def test_answers_are_repaired_on_other_hosts_only(entry) -> None:
    assert entry("anthropic").quirks_of("m").repair is False
    assert entry("anthropic", url="https://gateway.example").quirks_of("m").repair is True


def test_whole_body_is_the_clients_own(entry, send) -> None:
    body = msgspec.json.encode(
        {
            "model": "claude-opus-5-5",
            "max_tokens": 32000,
            "messages": [{"role": "user", "content": "Hello"}],
        }
    )
    assert body == send(entry("anthropic"), KEYS).raw.body
