"""Which proxy an outgoing connection takes."""

from __future__ import annotations

import pytest

from llmproxyd.upstream.proxies import proxy_for

PROXY = "http://proxy.test:3128"


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        ("https://api.test/v1", {}, None),
        ("https://api.test/v1", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://api.test/v1", {"https_proxy": PROXY}, PROXY),
        ("https://api.test/v1", {"HTTP_PROXY": PROXY}, None),
        ("http://api.test/v1", {"HTTP_PROXY": PROXY}, PROXY),
        ("https://api.test/v1", {"ALL_PROXY": PROXY}, PROXY),
        ("https://api.test/v1", {"HTTPS_PROXY": PROXY, "NO_PROXY": "api.test"}, None),
        ("https://a.api.test/v1", {"HTTPS_PROXY": PROXY, "NO_PROXY": "x, .api.test"}, None),
        ("https://notapi.test/v1", {"HTTPS_PROXY": PROXY, "NO_PROXY": "api.test"}, PROXY),
        ("https://api.test:8443/v1", {"HTTPS_PROXY": PROXY, "NO_PROXY": "api.test:443"}, PROXY),
        ("https://api.test:8443/v1", {"HTTPS_PROXY": PROXY, "NO_PROXY": "api.test:8443"}, None),
        ("https://api.test/v1", {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, None),
        ("http://127.0.0.1:8001", {"HTTP_PROXY": PROXY}, None),
        ("http://[::1]:8001", {"HTTP_PROXY": PROXY}, None),
        ("http://localhost:8001", {"HTTP_PROXY": PROXY}, None),
    ],
)
def test_proxy_follows_the_environment_but_never_for_loopback(url, environ, expected):
    assert proxy_for(url, environ) == expected
