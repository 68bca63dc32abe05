"""A daemon for the control API, as a script: fixed answers, and a list of what was asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmproxyd.control.schema import BackendStatus, ReloadReply, Status

STATUS = Status(
    state="ready",
    pid=4321,
    uptime_s=3723.0,
    generation=3,
    host="127.0.0.1",
    port=8000,
    base_url="http://localhost:8000",
    socket="/run/user/1000/llmproxyd/control.sock",
    config_path="/home/ana/.config/llmproxyd/config.toml",
    active="cerebras",
    fallback=("anthropic",),
    in_flight=2,
    drain_timeout_s=30.0,
    backends=(
        BackendStatus(
            name="cerebras",
            kind="cerebras",
            url="https://api.cerebras.ai/v1",
            protocol="openai",
            model="gpt-oss-120b",
            state="up",
            requests=12,
            failures=1,
        ),
        BackendStatus(
            name="vast", kind="self-hosted", url="http://localhost:8001", state="down",
            reason="connection refused",
        ),
    ),
)  # fmt: skip
RELOADED = ReloadReply(generation=4, changed=("backend: vast",))


@dataclass
class ScriptedHost:
    """What the control API calls; see `ControlHost`."""

    answer: Status = STATUS
    reply: ReloadReply = RELOADED
    error: Exception | None = None
    calls: list[tuple[object, ...]] = field(default_factory=list)

    def status(self) -> Status:
        if self.error:
            raise self.error
        return self.answer

    async def reload(self) -> ReloadReply:
        self.calls.append(("reload",))
        return self.reply

    async def use(self, backend: str) -> ReloadReply:
        self.calls.append(("use", backend))
        return self.reply

    def stop(self, grace_s: float | None) -> None:
        self.calls.append(("stop", grace_s))


@dataclass
class Events:
    """A log that keeps its events."""

    seen: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def info(self, event: str, **fields: object) -> None:
        self.seen.append((event, fields))

    warning = error = info
