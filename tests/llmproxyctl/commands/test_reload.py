from __future__ import annotations

import json

from llmproxyd.control.schema import ReloadReply
from llmproxyd.errors import Problem


def test_what_changed_is_printed(ctl, host):
    host.reply = ReloadReply(generation=5, changed=("backend: cerebras -> vast",))
    done = ctl("reload")
    expected = "generation 5 is in force\n  backend: cerebras -> vast\n"
    assert (0, expected, "") == (done.exit_code, done.out, done.err)


def test_what_needs_a_restart_is_printed(ctl, host):
    host.reply = ReloadReply(generation=5, needs_restart=("server.port",))
    assert "  server.port: takes effect after `stop` and `start`\n" in ctl("reload").out


def test_nothing_new_is_said_so(ctl, host):
    host.reply = ReloadReply(generation=5)
    assert "nothing changed (generation 5)\n" == ctl("reload").out


def test_json_is_the_whole_reply(ctl, host):
    answer = json.loads(ctl("reload", "--json").out)
    assert (True, 4, ["backend: vast"]) == (answer["ok"], answer["generation"], answer["changed"])


def test_a_refused_configuration_is_6_with_every_place(ctl, host):
    problems = (
        Problem("backnd", "unknown key", "did you mean backend?", "config.toml", 1, 1),
        Problem("server.port", "must be a number", "", "config.toml", 4, 8),
    )
    host.reply = ReloadReply(ok=False, problems=problems)
    done = ctl("reload")
    expected = (
        "llmproxyctl: refused; the configuration in force stays\n"
        "  config.toml:1:1: backnd: unknown key (did you mean backend?)\n"
        "  config.toml:4:8: server.port: must be a number\n"
    )
    assert (6, "", expected) == (done.exit_code, done.out, done.err)
