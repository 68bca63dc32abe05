"""Addresses and names that can not work."""

from __future__ import annotations

import pytest

from llmproxyd.config.checks import check_config
from llmproxyd.config.places import Places
from llmproxyd.config.schema import BackendConfig, Config, SecretRef, ServerConfig


def problems_of(config: Config) -> list[str]:
    return [str(problem) for problem in check_config(config, Places())]


def backend(url: str | None = None, api_key: SecretRef | None = None, name: str = "x") -> Config:
    return Config(backends={name: BackendConfig("self-hosted", url=url, api_key=api_key)})


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8001",
        "https://host.example/v1/",
        "HTTP://[::1]:8001",
        "http://10.0.0.1/a/b?c".partition("?")[0],
    ],
)
def test_good_url_is_accepted(url: str) -> None:
    assert [] == problems_of(backend(url))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("localhost:8001", "must begin with http:// or https://"),
        ("ftp://host", "must begin with http:// or https://"),
        ("unix:///run/x", "must begin with http:// or https://"),
        ("/v1", "must begin with http:// or https://"),
        ("http://", "names no host"),
        ("http://:8001", "names no host"),
        ("http://host:0", "names port 0"),
        ("http://host:99999", "can not be read"),
        ("http://host:abc", "can not be read"),
        ("http://[::1", "can not be read"),
        ("http://me:canary@host", "user name or password"),
        ("http://canary@host", "user name or password"),
        ("http://host/v1?key=canary", "no query and no fragment"),
        ("http://host/#canary", "no query and no fragment"),
        ("http://ho st", "a blank or a control character"),
        ("http://host\r\nx: y", "a blank or a control character"),
    ],
)
def test_bad_url_is_refused_without_showing_it(url: str, expected: str) -> None:
    (problem,) = problems_of(backend(url))
    assert problem.startswith("backends.x.url: ")
    assert expected in problem
    assert "canary" not in problem


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST."]
)
def test_loopback_host_is_accepted(host: str) -> None:
    assert [] == problems_of(Config(server=ServerConfig(host=host)))


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "localhost.example"]
)
def test_other_hosts_are_refused(host: str) -> None:
    (problem,) = problems_of(Config(server=ServerConfig(host=host)))
    assert problem.startswith("server.host: not an address of this machine's loopback (without a")


@pytest.mark.parametrize("name", ["", " x", "x ", "a\nb", "a\x1bb"])
def test_unprintable_backend_name_is_refused(name: str) -> None:
    (problem,) = problems_of(backend(name=name))
    assert "a backend needs a printable name" in problem


@pytest.mark.parametrize("name", ["sk-canary", "1A", "A B", "csk=canary"])
def test_key_in_place_of_its_variable_is_refused_without_showing_it(name: str) -> None:
    (problem,) = problems_of(backend(api_key=SecretRef(env=name)))
    assert problem.startswith("backends.x.api_key.env: not the name of an environment variable")
    assert "canary" not in problem


@pytest.mark.parametrize("ref", [SecretRef(env="CEREBRAS_API_KEY"), SecretRef(file="k"), None])
def test_other_keys_are_left_to_be_resolved(ref: SecretRef | None) -> None:
    assert [] == problems_of(backend(api_key=ref))
