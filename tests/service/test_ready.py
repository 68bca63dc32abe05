from __future__ import annotations

import json
import os

import pytest

from llmproxyd.service.ready import AlreadyRunning, Ready, StartupError


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)


def _read(reader):
    with open(reader, closefd=False) as stream:
        return [json.loads(line) for line in stream]


def test_a_ready_daemon_tells_its_status(pipe):
    reader, writer = pipe
    Ready(writer).ok({"pid": 7})
    assert [{"ok": True, "status": {"pid": 7}}] == _read(reader)


@pytest.mark.parametrize(
    ("error", "already_running", "exit_code"),
    [
        (StartupError("no", exit_code=6), False, 6),
        (StartupError("no"), False, 1),
        (AlreadyRunning("no"), True, 1),
    ],
)
def test_a_failed_start_tells_why(pipe, error, already_running, exit_code):
    reader, writer = pipe
    Ready(writer).failed(error)
    expected = {
        "ok": False,
        "error": "no",
        "exit_code": exit_code,
        "already_running": already_running,
    }
    assert [expected] == _read(reader)


def test_only_the_first_word_counts(pipe):
    reader, writer = pipe
    ready = Ready(writer)
    ready.ok({})
    ready.failed(StartupError("too late"))
    assert [{"ok": True, "status": {}}] == _read(reader)


def test_nobody_waiting_is_fine():
    Ready(None).ok({})


def test_a_waiter_who_left_is_fine():
    reader, writer = os.pipe()
    ready = Ready(writer)
    os.close(reader)
    ready.ok({"pid": 7})


def test_the_pipe_is_not_handed_down_to_children(pipe):
    _, writer = pipe
    os.set_inheritable(writer, True)
    ready = Ready(writer)
    assert not os.get_inheritable(writer)
    ready.ok({})


def test_a_descriptor_that_is_not_open_is_a_usage_error():
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    with pytest.raises(StartupError, match="not an open file") as raised:
        Ready(writer)
    assert 2 == raised.value.exit_code
