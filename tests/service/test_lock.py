from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from llmproxyd.service import lock as lock_module
from llmproxyd.service.lock import instance_lock
from llmproxyd.service.ready import AlreadyRunning, StartupError

HOLDER = """\
import os, pathlib, sys
from llmproxyd.service.lock import instance_lock
from llmproxyd.service.ready import AlreadyRunning
sys.stdin.readline()
try:
    with instance_lock(pathlib.Path(sys.argv[1])):
        print("owner", flush=True)
        sys.stdin.readline()
except AlreadyRunning as error:
    print(error.message, flush=True)
"""


def _contender(path):
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "control.sock.lock"


def test_eight_racing_starts_have_one_owner(path):
    contenders = [_contender(path) for _ in range(8)]
    for contender in contenders:
        contender.stdin.write("go\n")
    words = [contender.stdout.readline().strip() for contender in contenders]
    owner = contenders[words.index("owner")]
    assert 1 == words.count("owner")
    expected = f"llmproxyd is already running (pid {owner.pid}): "
    assert 7 == sum(word.startswith(expected) for word in words)
    for contender in contenders:
        contender.communicate("end\n")


def test_a_killed_owner_leaves_nothing_to_clean_up(path):
    owner = _contender(path)
    owner.stdin.write("go\n")
    assert "owner" == owner.stdout.readline().strip()
    owner.kill()
    owner.communicate()
    assert f"{owner.pid}\n" == path.read_text()
    with instance_lock(path):
        assert f"{os.getpid()}\n" == path.read_text()


def test_the_pid_is_gone_after_a_clean_end(path):
    with instance_lock(path):
        assert 0o600 == path.stat().st_mode & 0o777
    assert "" == path.read_text()


def test_the_pid_is_gone_after_a_failed_start(path):
    with pytest.raises(StartupError), instance_lock(path):
        raise StartupError("the port is taken")
    assert "" == path.read_text()


def test_a_longer_pid_of_a_dead_owner_is_overwritten_whole(path):
    path.write_text("123456789012\n")
    with instance_lock(path):
        assert f"{os.getpid()}\n" == path.read_text()


def test_an_owner_who_has_not_yet_written_its_pid_is_an_owner(path):
    with instance_lock(path):
        path.write_text("")
        with pytest.raises(AlreadyRunning, match="already running: stop it"), instance_lock(path):
            pass


def test_a_lock_file_replaced_while_we_opened_it_is_not_ours(path, monkeypatch):
    # Whoever removes the file makes room for a second owner; ours must be the one at the path.
    really_opened = lock_module._opened
    opened = []

    def opened_then_replaced(asked):
        fd = really_opened(asked)
        opened.append(os.fstat(fd).st_ino)
        if len(opened) == 1:
            asked.rename(asked.with_name("moved away"))
        return fd

    monkeypatch.setattr(lock_module, "_opened", opened_then_replaced)
    with instance_lock(path):
        assert [path.stat().st_ino] == opened[1:]


def test_a_symlink_is_not_followed(path):
    victim = path.with_name("victim")
    victim.write_text("precious")
    path.symlink_to(victim)
    with pytest.raises(StartupError, match="can not open lock file"), instance_lock(path):
        pass
    assert "precious" == victim.read_text()


def test_what_is_not_a_plain_file_is_refused(path):
    os.mkfifo(path)
    with pytest.raises(StartupError, match="not a file of yours"), instance_lock(path):
        pass


def test_a_missing_folder_is_an_error_with_its_path(path):
    with (
        pytest.raises(StartupError, match="No such file"),
        instance_lock(path / "below"),
    ):
        pass


def test_the_lock_is_free_again_after_an_error(path):
    with pytest.raises(RuntimeError), instance_lock(path):
        raise RuntimeError
    with instance_lock(path):
        pass


def test_a_thread_of_the_same_process_is_kept_out_too(path):
    seen = []

    def contend():
        try:
            with instance_lock(path):
                seen.append("owner")
        except AlreadyRunning:
            seen.append("kept out")

    with instance_lock(path):
        thread = threading.Thread(target=contend)
        thread.start()
        thread.join()
    assert ["kept out"] == seen
