from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

import platformdirs
import pytest

from llmproxyd.control import schema
from llmproxyd.control.schema import (
    ErrorReply,
    LastReload,
    ReloadReply,
    Status,
    UseRequest,
    base_url,
    choose_socket_path,
    default_log_path,
    default_socket_path,
    from_json,
    lock_path,
    socket_path_problem,
    to_json,
)
from llmproxyd.errors import Problem
from tests.fakes.control_host import STATUS

PROBLEM = Problem(path="backend", message="no such backend", hint="say x", file="f", line=3)
HOME = Path("/home/ana")


@pytest.mark.parametrize(
    "value",
    [
        STATUS,
        Status(last_reload=LastReload(ok=False, when_s=1.5, problems=(PROBLEM,))),
        ReloadReply(ok=False, problems=(PROBLEM, PROBLEM), needs_restart=("server.port",)),
        ErrorReply(title="Not Found", status=404, problems=(PROBLEM,)),
    ],
    ids=["status", "status-with-reload", "reload", "error"],
)
def test_a_reply_survives_the_wire(value):
    assert value == from_json(type(value), json.loads(json.dumps(to_json(value))))


def test_fields_of_a_newer_daemon_are_ignored():
    assert Status(pid=7) == from_json(Status, {"pid": 7, "moon_phase": "full"})


def test_fields_that_an_older_daemon_lacks_have_their_default():
    assert Status(pid=7, drain_timeout_s=0.0) == from_json(Status, {"pid": 7})


@pytest.mark.parametrize("data", [[], "ready", None, 3])
def test_what_is_no_object_is_refused(data):
    with pytest.raises(TypeError):
        from_json(Status, data)


def test_a_missing_field_without_default_is_refused():
    with pytest.raises(TypeError):
        from_json(UseRequest, {})


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://localhost:8000"),
        ("localhost", "http://localhost:8000"),
        ("::1", "http://localhost:8000"),
        ("0.0.0.0", "http://localhost:8000"),
        ("::", "http://localhost:8000"),
        ("192.168.1.5", "http://192.168.1.5:8000"),
        ("fd00::5", "http://[fd00::5]:8000"),
        ("box.lan", "http://box.lan:8000"),
    ],
)
def test_base_url_is_what_this_machine_can_reach(host, expected):
    assert expected == base_url(host, 8000)


@pytest.fixture
def tmp(tmp_path, monkeypatch):
    """A short temporary folder in which the runtime folders of these tests are."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return tmp_path


def _ours():
    return default_socket_path(os.environ, sys.platform, os.getuid(), Path.home()).parent


def _theirs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Path(platformdirs.user_runtime_dir("llmproxyd"))


def _make_private(path):
    path.mkdir(mode=0o700)


def _make_open(path):
    path.mkdir()
    path.chmod(0o755)


def _make_link(path):
    path.with_name("target").mkdir(mode=0o700)
    path.symlink_to(path.with_name("target"))


@pytest.mark.parametrize(
    "make",
    [_make_private, _make_open, _make_link, Path.touch, lambda path: None],
    ids=["private", "open-to-others", "symlink", "file", "missing"],
)
def test_default_socket_is_where_platformdirs_has_the_runtime_folder(tmp, monkeypatch, make):
    make(tmp / "xdg")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp / "xdg"))
    assert _theirs() == _ours()


@pytest.mark.parametrize("value", ["", "relative/folder"])
def test_default_socket_is_where_platformdirs_falls_back(tmp, monkeypatch, value):
    monkeypatch.setenv("XDG_RUNTIME_DIR", value)
    assert _theirs() == _ours()


def test_an_unset_runtime_folder_falls_back_as_platformdirs_does(tmp):
    assert _theirs() == _ours()


def test_a_runtime_folder_behind_a_file_is_not_taken(tmp, monkeypatch):
    (tmp / "file").touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp / "file" / "xdg"))
    assert _theirs() == _ours()


def test_the_users_own_run_folder_is_taken_when_there_is_one(tmp, monkeypatch):
    monkeypatch.setattr(schema, "_is_private", lambda path, uid, **_: str(path) == "/run/user/77")
    expected = Path("/run/user/77/llmproxyd/control.sock")
    assert expected == default_socket_path({}, "linux", 77, HOME)


def test_a_temporary_fallback_made_by_somebody_else_is_refused(tmp):
    (tmp / "runtime-77").mkdir()
    with pytest.raises(PermissionError, match="set XDG_RUNTIME_DIR"):
        default_socket_path({"TMPDIR": str(tmp)}, "linux", 77, HOME)


def test_a_temporary_fallback_of_our_own_is_taken(tmp):
    (tmp / f"runtime-{os.getuid()}").mkdir()
    assert _theirs() == _ours()


def test_without_tmpdir_the_fallback_is_in_tmp():
    expected = Path("/tmp/runtime-99991/llmproxyd/control.sock")
    env = {"TMPDIR": "/nonexistent/folder"}
    assert expected == default_socket_path(env, "linux", 99991, HOME)


def test_macos_has_the_socket_in_the_caches():
    expected = HOME / "Library/Caches/TemporaryItems/llmproxyd/control.sock"
    assert expected == default_socket_path({}, "darwin", 501, HOME)


def test_a_default_too_long_for_an_address_gives_way_to_a_short_one():
    long = Path("/Users") / ("x" * 60)
    expected = Path("/tmp/llmproxyd-501/control.sock")
    assert expected == default_socket_path({}, "darwin", 501, long)


@pytest.mark.parametrize(("platform", "limit"), [("linux", 107), ("darwin", 103)])
def test_socket_paths_have_the_systems_limit(platform, limit):
    fits = Path("/" + "x" * (limit - 1))
    assert socket_path_problem(fits, platform) is None
    assert f"{limit} is the limit" in socket_path_problem(Path(f"{fits}x"), platform)


@pytest.mark.parametrize(
    ("option", "env", "expected"),
    [
        ("/a/x.sock", {"LLMPROXYD_SOCKET": "/b/y.sock"}, "/a/x.sock"),
        (None, {"LLMPROXYD_SOCKET": "/b/y.sock"}, "/b/y.sock"),
        (None, {"LLMPROXYD_SOCKET": ""}, "/home/ana/Library/Caches/TemporaryItems/llmproxyd/"
         "control.sock"),
    ],
    ids=["option", "environment", "default"],
)  # fmt: skip
def test_the_option_beats_the_environment_beats_the_default(option, env, expected):
    assert Path(expected) == choose_socket_path(option, env, "darwin", 501, HOME)


def test_a_relative_socket_becomes_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert tmp_path / "x.sock" == choose_socket_path("x.sock", {}, "linux", 1, HOME)


def test_a_tilde_in_the_socket_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ana")
    assert HOME / "x.sock" == choose_socket_path("~/x.sock", {}, "linux", 1, HOME)


def test_the_lock_is_beside_the_socket():
    assert Path("/a/control.sock.lock") == lock_path(Path("/a/control.sock"))


@pytest.mark.parametrize("state", ["/srv/state", "", "relative"])
def test_the_log_is_where_platformdirs_has_logs(monkeypatch, state):
    monkeypatch.setenv("XDG_STATE_HOME", state)
    expected = Path(platformdirs.user_log_dir("llmproxyd")) / "llmproxyd.log"
    assert expected == default_log_path(os.environ, sys.platform, Path.home())


def test_the_log_on_macos_is_where_console_looks():
    expected = HOME / "Library/Logs/llmproxyd/llmproxyd.log"
    assert expected == default_log_path({}, "darwin", HOME)
