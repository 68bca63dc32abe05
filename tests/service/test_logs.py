from __future__ import annotations

import contextlib
import io
import json
import logging
import re

import pytest

from llmproxyd.config.schema import LogConfig
from llmproxyd.service.logs import Logs, wants_color

CANARY = "canary-value-1234"
SAID = f"said {CANARY}"
TOKEN = "sk-ant-0123456789abcdef"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@contextlib.contextmanager
def _open(stream, form="json", level="debug", **options):
    logs = Logs(LogConfig(level=level, format=form), stream, lambda: [CANARY], **options)
    try:
        yield logs.logger
    finally:
        logs.close()


def _json_lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_time_and_level():
    with _open(stream := io.StringIO()) as log:
        log.info("request_finished", status=200, backend="cerebras", latency_s=0.25)
    [line] = _json_lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("timestamp"))
    expected = {"event": "request_finished", "level": "info", "status": 200}
    assert {**expected, "backend": "cerebras", "latency_s": 0.25} == line


@pytest.mark.parametrize(
    ("form", "stream", "is_json"),
    [
        ("auto", io.StringIO, True),
        ("auto", Terminal, False),
        ("console", io.StringIO, False),
        ("json", Terminal, True),
    ],
)
def test_auto_is_console_on_a_terminal_and_json_elsewhere(form, stream, is_json):
    with _open(out := stream(), form) as log:
        log.info("daemon_started")
    assert is_json == out.getvalue().startswith("{")


def test_events_below_the_level_are_dropped():
    with _open(stream := io.StringIO(), level="warning") as log:
        log.info("quiet")
        log.warning("loud")
        logging.getLogger("aiohttp.server").info("quiet")
        logging.getLogger("aiohttp.server").error("loud")
    assert ["loud", "loud"] == [line["event"] for line in _json_lines(stream)]


def test_events_of_libraries_look_like_ours():
    with _open(stream := io.StringIO()) as log:
        log.info("ours")
        logging.getLogger("aiohttp.server").warning("Error handling %s", "request")
    ours, theirs = _json_lines(stream)
    assert {*ours, "logger"} == set(theirs)
    expected = ("Error handling request", "warning", "aiohttp.server")
    assert expected == (theirs["event"], theirs["level"], theirs["logger"])


@pytest.mark.parametrize("form", ["json", "console"])
def test_fields_keep_their_order(form):
    with _open(stream := io.StringIO(), form) as log:
        log.info("event", zulu=1, alpha=2)
    line = stream.getvalue()
    assert line.index("zulu") < line.index("alpha")


def test_a_closed_log_leaves_the_libraries_alone():
    root = logging.getLogger()
    before = (root.level, tuple(root.handlers))
    with _open(stream := io.StringIO()):
        pass
    logging.getLogger("aiohttp.server").debug("later")
    assert (before, "") == ((root.level, tuple(root.handlers)), stream.getvalue())


class Opaque:
    def __repr__(self):
        return f"<Opaque {CANARY}>"


def _raise():
    try:
        raise RuntimeError(f"refused {CANARY} and {TOKEN}")
    except RuntimeError as error:
        raise ValueError(f"because of {CANARY}") from error


def _log_traceback(log):
    try:
        _raise()
    except ValueError:
        log.exception("task_failed")


def _log_library_traceback(_log):
    try:
        _raise()
    except ValueError:
        logging.getLogger("aiohttp").exception("Unhandled %s", CANARY)


LEAKS = {
    "event": lambda log: log.info(SAID),
    "field": lambda log: log.info("x", url=f"http://h/?key={CANARY}"),
    "list": lambda log: log.info("x", argv=["--key", CANARY, ("a", CANARY), {CANARY}]),
    "mapping": lambda log: log.info("x", body={"a": {"b": CANARY}}),
    "object": lambda log: log.info("x", thing=Opaque()),
    "bytes": lambda log: log.info("x", raw=CANARY.encode()),
    "token": lambda log: log.info("x", header=f"Bearer {TOKEN}", key=TOKEN),
    "by-name": lambda log: log.info("x", api_key="plain", headers={"X-Api-Key": "plain"}),
    "bound": lambda log: log.bind(who=CANARY).info("x"),
    "traceback": _log_traceback,
    "library": lambda log: logging.getLogger("aiohttp").error("to %s", f"h/{CANARY}"),
    "library-traceback": _log_library_traceback,
}


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_no_secret_gets_into_the_log(leak, form):
    with _open(stream := io.StringIO(), form) as log:
        leak(log)
    text = stream.getvalue()
    assert text
    assert not {secret for secret in (CANARY, TOKEN, "plain") if secret in text}


def test_numbers_are_not_taken_for_secrets():
    with _open(stream := io.StringIO()) as log:
        log.info("x", token=12, input_tokens=7, ok=True, cost=None)
    assert {"token": 12, "input_tokens": 7, "ok": True, "cost": None}.items() <= (
        _json_lines(stream)[0].items()
    )


FORGERY = "x\n2026-01-01 [info] all_is_well\r\x1b[2J\x07\x85\u2028end"


@pytest.mark.parametrize(
    "say",
    [
        lambda log: log.info("x", reason=FORGERY),
        lambda log: log.info(FORGERY),
        lambda log: log.info("x", **{FORGERY: 1}),
        lambda log: log.info("x", parts=[FORGERY]),
        lambda log: logging.getLogger("aiohttp").warning(FORGERY),
    ],
    ids=["field", "event", "name", "list", "library"],
)
@pytest.mark.parametrize("form", ["json", "console"])
def test_control_characters_can_not_forge_an_event(say, form):
    with _open(stream := io.StringIO(), form) as log:
        say(log)
    text = stream.getvalue()
    assert 1 == len(text.splitlines())
    assert [] == [char for char in text[:-1] if not char.isprintable()]


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_can_not_forge_an_event(form):
    with _open(stream := io.StringIO(), form) as log:
        log.error("x", exc_info=RuntimeError(FORGERY))
    first, *others = stream.getvalue().split("\n")
    assert "x" in first
    assert all(line.startswith("  | ") for line in others if line)
    assert "\x1b" not in stream.getvalue()


def test_a_traceback_on_the_console_is_whole():
    with _open(stream := io.StringIO(), "console") as log:
        _log_traceback(log)
    assert "  | ValueError: because of [redacted]" in stream.getvalue().splitlines()


class Broken(io.StringIO):
    """A full disk."""

    def write(self, text):
        raise OSError("No space left on device")


def _closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [Broken, _closed])
def test_a_log_that_can_not_be_written_does_not_fail_the_request(stream):
    with _open(stream(), "console") as log:
        log.info("request_finished")


@pytest.mark.parametrize("color", [True, False])
def test_colors_are_only_there_when_asked_for(color):
    with _open(stream := io.StringIO(), "console", color=color) as log:
        log.info("daemon_started")
    assert color == ("\x1b[" in stream.getvalue())


@pytest.mark.parametrize(
    ("stream", "env", "expected"),
    [
        (Terminal, {}, True),
        (Terminal, {"NO_COLOR": "1"}, False),
        (Terminal, {"NO_COLOR": ""}, True),
        (Terminal, {"TERM": "dumb"}, False),
        (io.StringIO, {}, False),
    ],
)
def test_colors_are_wanted_on_a_terminal_unless_no_color_is_set(stream, env, expected):
    assert expected == wants_color(stream(), env)
