import pytest

from llmproxyd.config.schema import SecretRef

URL = "http://localhost:8001"
CLIENT = (("x-api-key", "sk-client"), ("anthropic-beta", "b"))


def test_speaks_both_formats_and_is_asked_which(entry) -> None:
    backend = entry("self-hosted", url=URL)
    assert backend.dialect is None
    assert ["openai", "anthropic"] == [dialect.name for dialect in backend.backend.dialects]


@pytest.mark.parametrize(
    ("protocol", "path"), [("anthropic", "/v1/messages"), ("openai", "/v1/chat/completions")]
)
@pytest.mark.parametrize("url", [URL, f"{URL}/", f"{URL}/v1"])
def test_address_may_or_may_not_name_the_version(entry, send, protocol, path, url) -> None:
    backend = entry("self-hosted", url=url, protocol=protocol)
    assert URL + path == send(backend, CLIENT).url


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
def test_dummy_key_is_sent_and_never_the_clients(entry, send, dialect) -> None:
    sent = send(entry("self-hosted", url=URL, model="qwen3-coder"), CLIENT, dialect)
    assert "dummy" in sent.headers.get("authorization", "") + sent.headers.get("x-api-key", "")
    assert "sk-client" not in repr(sent.raw)
    assert sent.body["model"] == "qwen3-coder"


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
def test_real_key_takes_the_place_of_the_dummy(entry, send, dialect) -> None:
    key = SecretRef(literal="sk-real-key")
    sent = send(entry("self-hosted", url=URL, api_key=key), CLIENT, dialect)
    assert "sk-real-key" in repr(sent.raw.headers)
    assert "dummy" not in repr(sent.raw.headers)


def test_messages_are_repaired(entry) -> None:
    assert entry("self-hosted", url=URL).quirks_of("any").repair is True
