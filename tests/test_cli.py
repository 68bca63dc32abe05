"""The daemon's command line, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from llmproxyd import __version__


def llmproxyd(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "llmproxyd", *args]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=env or None, check=False
    )


def test_version_and_help_are_told():
    assert llmproxyd("--version").stdout == f"llmproxyd {__version__}\n"
    shown = llmproxyd("--help").stdout
    assert "examples:" in shown
    assert "--ready-fd" not in shown


def test_unknown_option_is_a_usage_error():
    ended = llmproxyd("--nope")
    assert ended.returncode == 2
    assert "--nope" in ended.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('backend = "x"\n', "backend"),
        ("backend = \n", "config.toml:1:"),
        ('[backends.a]\ntype = "anthropic"\nurll = "http://x"\n', 'did you mean "url"'),
    ],
)
def test_bad_configuration_ends_the_start_with_the_place_and_code_6(tmp_path, text, said):
    config = tmp_path / "config.toml"
    config.write_text(text)
    ended = llmproxyd("--config", str(config), "--port", "0", "--socket", str(tmp_path / "s"))
    assert ended.returncode == 6
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_missing_configuration_file_is_named(tmp_path):
    ended = llmproxyd("--config", str(tmp_path / "none.toml"))
    assert ended.returncode == 6
    assert "none.toml" in ended.stderr
