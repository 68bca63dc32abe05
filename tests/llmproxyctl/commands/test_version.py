from __future__ import annotations

import json

from llmproxyd.control.schema import VERSION


def test_both_versions_are_shown(ctl, host):
    assert f"llmproxyctl {VERSION}\nllmproxyd {VERSION}\n" == ctl("version").out


def test_without_a_daemon_the_own_version_is_shown(ctl):
    done = ctl("version")
    assert (0, f"llmproxyctl {VERSION}\n") == (done.exit_code, done.out)
    assert "not running" in done.err


def test_json_has_both(ctl, host):
    assert {"client": VERSION, "daemon": VERSION} == json.loads(ctl("version", "--json").out)


def test_json_without_a_daemon_has_null(ctl):
    assert {"client": VERSION, "daemon": None} == json.loads(ctl("version", "--json").out)
