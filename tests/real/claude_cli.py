"""The real Claude CLI in a scrubbed environment, pre-approved, against a gateway on this machine.

Nothing of the caller's environment reaches it: no credentials, no proxy settings, no home folder.
The first-run dialogs (theme, "use this API key?", trust this folder) are answered beforehand by the
`.claude.json` that is written into its scratch home.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

API_KEY = "sk-ant-client-0123456789abcdef"
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "TERM": "xterm-256color",
    "LANG": "C.UTF-8",
    "SHELL": "/bin/bash",
    "ANTHROPIC_API_KEY": API_KEY,
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "IS_SANDBOX": "1",  # root may skip the permission prompts
}


@dataclass(frozen=True)
class Run:
    """One finished run of the CLI."""

    status: int
    stdout: str
    stderr: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of `--output-format stream-json`."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.startswith("{")]

    @property
    def result(self) -> dict[str, Any]:
        """The closing `result` event of a stream-json run."""
        return next(event for event in reversed(self.events) if event["type"] == "result")

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of one type."""
        return [event for event in self.events if event["type"] == kind]

    @property
    def blocks(self) -> list[dict[str, Any]]:
        """The content blocks of all assistant and user messages, in order."""
        blocks: list[dict[str, Any]] = []
        for event in self.events:
            if event["type"] in ("assistant", "user"):
                content = event["message"]["content"]
                blocks += content if isinstance(content, list) else []
        return blocks

    def ok(self) -> Run:
        """This run, if it ended well; an assertion with all its output if not."""
        assert self.status == 0, f"the CLI exited {self.status}\n{self.stdout}\n{self.stderr}"
        return self


class ClaudeCLI:
    """The CLI of one person: one binary, one home, any number of repositories."""

    def __init__(self, binary: Path, home: Path, base_url: str) -> None:
        self.binary = binary
        self.home = home
        self.base_url = base_url
        self.home.mkdir(parents=True, exist_ok=True)

    def repository(self, folder: Path) -> Path:
        """Make `folder` a git repository that the CLI trusts."""
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        (folder / ".git").mkdir(exist_ok=True)
        (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
        for name in ("objects", "refs/heads"):
            (folder / ".git" / name).mkdir(parents=True, exist_ok=True)
        settings = self.home / ".claude.json"
        state = json.loads(settings.read_text()) if settings.exists() else {}
        state |= {
            "hasCompletedOnboarding": True,
            "lastOnboardingVersion": "99.0.0",
            "theme": "dark",
            "bypassPermissionsModeAccepted": True,
            "customApiKeyResponses": {"approved": [API_KEY[-20:]], "rejected": []},
        }
        trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        state.setdefault("projects", {})[str(folder)] = trusted
        settings.write_text(json.dumps(state))
        return folder

    async def run(
        self,
        *arguments: str,
        cwd: Path,
        env: dict[str, str] | None = None,
        timeout_s: float = 240,
    ) -> Run:
        """Run the CLI in `cwd` (see `repository`) to its end."""
        process = await asyncio.create_subprocess_exec(
            self.binary,
            *arguments,
            cwd=cwd,
            env={
                **ENVIRONMENT,
                "HOME": str(self.home),
                "ANTHROPIC_BASE_URL": self.base_url,
                **(env or {}),
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=64 * 1024 * 1024,
        )
        try:
            async with asyncio.timeout(timeout_s):
                stdout, stderr = await process.communicate()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return Run(process.returncode or 0, stdout.decode(), stderr.decode())

    async def ask(self, prompt: str, *arguments: str, **options: Any) -> Run:
        """`claude -p PROMPT` with every event on stdout, all tools allowed."""
        return await self.run(
            "-p",
            prompt,
            "--output-format",
            "stream-json",
            "--verbose",
            "--dangerously-skip-permissions",
            *arguments,
            **options,
        )
