from __future__ import annotations

import json

from llmproxyd.control.schema import ReloadReply
from llmproxyd.errors import Problem


def test_the_new_backend_is_confirmed(ctl, host):
    done = ctl("use", "vast")
    assert (0, "vast is the active backend now\n") == (done.exit_code, done.out)
    assert [("use", "vast")] == host.calls


def test_json_is_the_whole_reply(ctl, host):
    assert 4 == json.loads(ctl("use", "vast", "--json").out)["generation"]


def test_an_unknown_backend_is_6_with_the_daemons_suggestion(ctl, host):
    problem = Problem("backend", "there is no backend 'cereblas'", "did you mean 'cerebras'?")
    host.reply = ReloadReply(ok=False, problems=(problem,))
    done = ctl("use", "cereblas")
    assert (6, "") == (done.exit_code, done.out)
    assert "there is no backend 'cereblas' (did you mean 'cerebras'?)" in done.err
