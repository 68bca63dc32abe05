from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass

import pytest

from llmproxyd.control import schema
from llmproxyd.control.app import serve_control
from llmproxyd.control.schema import ReloadReply, Status, from_json, to_json
from llmproxyd.errors import Problem
from llmproxyd.service.lock import instance_lock
from llmproxyd.service.sockets import control_listener
from tests.fakes.control_host import STATUS, Events, ScriptedHost

NOBODY = 65534
PROBLEM = Problem("backend", "no backend cereblas", "did you mean cerebras?", "config.toml", 1, 11)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Control:
    """A real control API on a real socket, and what its host and log have seen."""

    path: object
    host: ScriptedHost
    log: Events

    async def raw(self, data: bytes) -> Answer:
        reader, writer = await asyncio.open_unix_connection(self.path)
        writer.write(data)
        raw = await reader.read()
        writer.close()
        await writer.wait_closed()
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        return Answer(int(first.split()[1]), headers, body)

    async def call(self, method, path, body=None, **headers) -> Answer:
        content = b"" if body is None else body if isinstance(body, bytes) else _encode(body)
        lines = {"Host": "llmproxyd", "Connection": "close"}
        if method == "POST":
            lines |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
        return await self.raw(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content)


def _encode(body):
    return json.dumps(body).encode()


@contextlib.asynccontextmanager
async def _serving(folder, host, log, **options):
    path = folder / "control.sock"
    with (
        instance_lock(schema.lock_path(path)) as lock,
        control_listener(path, lock) as listener,
    ):
        runner = await serve_control(host, listener, log, **options)
        try:
            yield Control(path, host, log)
        finally:
            await runner.cleanup()


@pytest.fixture
async def control(tmp_path):
    async with _serving(tmp_path, ScriptedHost(), Events()) as control:
        yield control


async def test_status_is_what_the_host_says(control):
    answer = await control.call("GET", "/v1/status")
    assert (200, STATUS) == (answer.status, from_json(Status, answer.json))


async def test_version_names_the_program_and_the_api(control):
    answer = await control.call("GET", "/v1/version")
    assert {"version": schema.VERSION, "api": 1} == answer.json


@pytest.mark.parametrize("path", ["/v1/status", "/v1/nothing"])
async def test_every_answer_names_the_versions(control, path):
    headers = (await control.call("GET", path)).headers
    assert (schema.VERSION, "1") == (headers["llmproxy-version"], headers["llmproxy-api"])


@pytest.mark.parametrize("body", [{}, b""], ids=["object", "empty"])
async def test_reload_says_what_changed(control, body):
    answer = await control.call("POST", "/v1/reload", body)
    assert (200, to_json(control.host.reply)) == (
        answer.status,
        {**answer.json, **_tuples(answer.json)},
    )
    assert [("reload",)] == control.host.calls


def _tuples(data):
    return {name: tuple(value) for name, value in data.items() if isinstance(value, list)}


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/reload", {}), ("/v1/use", {"backend": "cereblas"})]
)
async def test_a_refused_configuration_is_422_with_every_problem(control, path, body):
    control.host.reply = ReloadReply(ok=False, generation=3, problems=(PROBLEM, PROBLEM))
    answer = await control.call("POST", path, body)
    assert (422, "application/problem+json") == (answer.status, answer.headers["content-type"])
    assert {
        "path": "backend",
        "message": "no backend cereblas",
        "hint": "did you mean cerebras?",
        "file": "config.toml",
        "line": 1,
        "column": 11,
    } == answer.json["problems"][1]


async def test_use_passes_the_name_on(control):
    answer = await control.call("POST", "/v1/use", {"backend": "vast"})
    assert (200, [("use", "vast")]) == (answer.status, control.host.calls)


@pytest.mark.parametrize(
    ("body", "grace_s"), [({}, None), ({"grace_s": 0}, 0.0), ({"grace_s": 2.5}, 2.5)]
)
async def test_stop_passes_the_grace_on_and_answers_at_once(control, body, grace_s):
    answer = await control.call("POST", "/v1/stop", body)
    assert (202, [("stop", grace_s)]) == (answer.status, control.host.calls)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/stop", {"grace_s": -1}),
        ("/v1/stop", {"grace_s": "soon"}),
        ("/v1/stop", {"grace_s": True}),
        ("/v1/stop", b'{"grace_s": 1e999}'),
        ("/v1/stop", b'{"grace_s": NaN}'),
        ("/v1/use", {}),
        ("/v1/use", {"backend": 7}),
        ("/v1/use", []),
        ("/v1/use", b"{"),
        ("/v1/use", b'{"backend": "\xff"}'),
        ("/v1/use", b"[" * 100_000),
    ],
)
async def test_a_body_that_is_not_as_agreed_is_400(control, path, body):
    answer = await control.call("POST", path, body)
    assert (400, []) == (answer.status, control.host.calls)
    assert answer.json["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v2/status", 404),
        ("GET", "/v1/status/", 404),
        ("GET", "/v1/stop", 405),
        ("POST", "/v1/status", 405),
        ("DELETE", "/v1/status", 405),
    ],
)
async def test_what_is_not_in_the_table_is_a_problem_document(control, method, path, status):
    answer = await control.call(method, path, {} if method == "POST" else None)
    assert (status, "application/problem+json") == (answer.status, answer.headers["content-type"])
    assert (status == 405) == ("allow" in answer.headers)
    assert [] == control.host.calls


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost"},
        {"Host": "localhost:8000"},
        {"Host": "llmproxyd.evil.test"},
        {"Host": "llmproxyd:80"},
        {"Host": ""},
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://llmproxyd"},
        {"Referer": "https://evil.test/"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/status"), ("POST", "/v1/stop")])
async def test_what_a_browser_could_have_sent_is_refused(control, method, path, headers):
    answer = await control.call(method, path, {} if method == "POST" else None, **headers)
    assert (403, []) == (answer.status, control.host.calls)


async def test_an_absolute_target_is_refused(control):
    answer = await control.raw(
        b"GET http://evil.test/v1/status HTTP/1.1\r\nHost: llmproxyd\r\nConnection: close\r\n\r\n"
    )
    assert 403 == answer.status


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
async def test_a_post_that_is_not_json_is_415(control, kind):
    answer = await control.call("POST", "/v1/stop", {}, Content_Type=kind)
    assert (415, []) == (answer.status, control.host.calls)


async def test_a_body_up_to_the_limit_is_read_and_one_above_is_413(control):
    name = "x" * (schema.MAX_BODY_BYTES - len(_encode({"backend": ""})))
    assert 200 == (await control.call("POST", "/v1/use", {"backend": name})).status
    answer = await control.call("POST", "/v1/use", {"backend": name + "x"})
    assert (413, 1) == (answer.status, len(control.host.calls))


async def test_writes_leave_an_audit_line_and_reads_do_not(control):
    await control.call("GET", "/v1/status")
    await control.call("POST", "/v1/reload", {})
    expected = {"path": "/v1/reload", "pid": os.getpid(), "uid": os.geteuid()}
    assert [("control_called", expected)] == control.log.seen


async def test_a_bug_is_a_500_that_says_nothing_and_is_logged(control):
    control.host.error = error = RuntimeError("key sk-very-secret")
    answer = await control.call("GET", "/v1/status")
    assert (500, False) == (answer.status, b"secret" in answer.body)
    assert [("control_failed", {"path": "/v1/status", "exc_info": error})] == control.log.seen


async def test_the_api_still_answers_after_a_bug(control):
    control.host.error = RuntimeError("once")
    await control.call("GET", "/v1/status")
    control.host.error = None
    assert 200 == (await control.call("GET", "/v1/status")).status


async def test_uvloop_tells_the_peer_too(tmp_path):
    # The daemon runs on uvloop, whose sockets are not those of asyncio.
    code = (
        "import asyncio, pathlib, sys, uvloop\n"
        "from tests.control.test_app import _serving\n"
        "from tests.fakes.control_host import Events, ScriptedHost\n"
        "async def main():\n"
        "    folder = pathlib.Path(sys.argv[1])\n"
        "    async with _serving(folder, ScriptedHost(), Events()) as control:\n"
        "        print((await control.call('GET', '/v1/status')).status)\n"
        "uvloop.run(main())\n"
    )
    done = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, tmp_path, stdout=subprocess.PIPE
    )
    out, _ = await done.communicate()
    assert b"200\n" == out


CALLER = """\
import os, socket, sys
uid = int(sys.argv[2])
if uid != os.geteuid():
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
with socket.socket(socket.AF_UNIX) as s:
    try:
        s.connect(sys.argv[1])
    except PermissionError:
        sys.exit("no entry")
    s.sendall(b"GET /v1/status HTTP/1.1\\r\\nHost: llmproxyd\\r\\nConnection: close\\r\\n\\r\\n")
    sys.exit(s.recv(12).decode())
"""


async def _called_by(uid, path):
    """What a process of this user gets; other users than our own take root."""
    caller = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-c", CALLER, path, str(uid)),
        stderr=subprocess.PIPE,
        env={},  # it can not write here, as measuring coverage would
    )
    _, words = await caller.communicate()
    return words.decode().strip()


def _open_to_all(path):
    path.chmod(0o666)
    for folder in path.parents:
        if folder.stat().st_mode & 0o1 == 0:
            folder.chmod(0o755)


ME = os.geteuid()
# An ordinary user can not be somebody else, but the daemon can claim to be.
USERS = [(ME, ME, 200), (NOBODY, ME, 200 if ME == 0 else 403)]
if ME == 0:
    USERS += [(ME, NOBODY, 403), (NOBODY, NOBODY, 200), (NOBODY, NOBODY - 1, 403)]


@pytest.mark.parametrize(("daemon", "caller", "status"), USERS)
async def test_only_the_daemons_own_user_and_root_are_let_in(tmp_path, daemon, caller, status):
    async with _serving(tmp_path, ScriptedHost(), Events(), uid=daemon) as control:
        _open_to_all(control.path)
        assert f"HTTP/1.1 {status}" == await _called_by(caller, control.path)


@pytest.mark.parametrize("caller", [NOBODY] if ME == 0 else [ME])
async def test_the_socket_file_itself_keeps_other_users_out(control, caller):
    _open_to_all(control.path)
    control.path.chmod(0o600 if ME == 0 else 0o000)
    assert "no entry" == await _called_by(caller, control.path)


async def test_a_peer_that_the_kernel_does_not_name_is_403():
    # Over TCP there are no peer credentials; such a listener would be a mistake of ours.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        runner = await serve_control(ScriptedHost(), listener, Events())
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET /v1/status HTTP/1.1\r\nHost: llmproxyd\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        await runner.cleanup()
    assert answer.startswith(b"HTTP/1.1 403")


async def test_a_kernel_that_refuses_to_tell_the_peer_is_403(control, monkeypatch):
    # The options of another system: this kernel does not know them.
    monkeypatch.setattr(sys, "platform", "darwin")
    assert 403 == (await control.call("GET", "/v1/status")).status
