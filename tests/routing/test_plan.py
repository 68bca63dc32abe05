from typing import Any

from llmproxyd.routing.plan import make_plan, target_of
from llmproxyd.spi import Backend, BackendEntry, Limits, Quirks


def entry(name: str, **fields: Any) -> BackendEntry:
    backend = Backend(kind="acme", dialects=())
    return BackendEntry(name=name, backend=backend, url=f"http://{name}", dialect=None, **fields)


ENTRIES = {
    "fast": entry("fast", model="gpt-oss-120b"),
    "home": entry("home", model="qwen3", models={"opus": "qwen3-coder"}),
    "cloud": entry("cloud"),
}


def names(active: str, fallback: list[str], requested: str = "claude-opus-5") -> list[str]:
    plan = make_plan(ENTRIES, active, fallback, requested)
    return [f"{target.entry.name}/{target.model}" for target in plan]


def test_active_backend_is_first_and_fallbacks_keep_their_order() -> None:
    expected = ["home/qwen3-coder", "cloud/claude-opus-5", "fast/gpt-oss-120b"]
    assert expected == names("home", ["cloud", "fast"])


def test_no_backend_is_planned_twice() -> None:
    assert names("fast", ["fast", "cloud", "cloud"]) == ["fast/gpt-oss-120b", "cloud/claude-opus-5"]


def test_without_fallback_there_is_one_target() -> None:
    assert names("cloud", []) == ["cloud/claude-opus-5"]


def test_alias_names_a_model_of_the_active_backend_only() -> None:
    expected = ["fast/zai-glm-4.7", "home/qwen3", "cloud/zai-glm-4.7"]
    assert expected == names("fast", ["home", "cloud"], "claude-local-zai-glm-4.7")


def test_target_carries_quirks_and_limits_of_its_model() -> None:
    small = Limits(context_window=8192)
    home = entry(
        "home",
        quirks=Quirks(top_k=True),
        model_quirks=(("Qwen*", {"vision": False}), ("*coder", {"reasoning": True})),
        model_limits={"qwen3-coder": small},
    )
    target = target_of(home, "qwen3-coder")
    assert Quirks(top_k=True, vision=False, reasoning=True) == target.quirks
    assert small == target.limits
    assert Limits() == target_of(home, "qwen3").limits
