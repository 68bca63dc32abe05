URL = "http://203.0.113.7:40123"


def test_key_that_rents_machines_is_never_sent_to_one(entry, send) -> None:
    backend = entry("vast", {"VAST_API_KEY": "vast-account"}, url=URL)
    for dialect in ("openai", "anthropic"):
        assert "vast-account" not in repr(send(backend, (), dialect).raw)


def test_goes_to_the_mapped_port(entry, send) -> None:
    assert send(entry("vast", url=URL), (), "openai").url == f"{URL}/v1/chat/completions"
    assert send(entry("vast", url=URL), (), "anthropic").url == f"{URL}/v1/messages"


def test_has_patience_for_a_model_that_loads(entry) -> None:
    assert entry("vast", url=URL).timeouts.first_byte_s == 900
