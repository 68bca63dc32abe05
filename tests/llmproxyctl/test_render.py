from __future__ import annotations

import io
import json

import pytest

from llmproxyctl.render import Console, counted, duration, printable, table, wants_color


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def _console(**options):
    options = {"as_json": False, "color": False} | options
    return Console(io.StringIO(), io.StringIO(), **options)


def test_the_answer_goes_to_stdout_and_talk_to_stderr():
    out, err = io.StringIO(), io.StringIO()
    console = Console(out, err, as_json=False, color=False)
    console.say("answer")
    console.talk(".", end="")
    assert ("answer\n", ".") == (out.getvalue(), err.getvalue())


def test_json_is_one_object_with_the_text_as_it_is():
    out = io.StringIO()
    Console(out, io.StringIO(), as_json=True, color=False).say_json({"name": "größe"})
    assert {"name": "größe"} == json.loads(out.getvalue())
    assert "größe" in out.getvalue()


@pytest.mark.parametrize(("stream", "expected"), [(Terminal, True), (io.StringIO, False)])
def test_progress_is_for_those_who_watch(stream, expected):
    console = Console(io.StringIO(), stream(), as_json=False, color=False)
    assert expected == console.is_watched


@pytest.mark.parametrize(("color", "expected"), [(True, "\x1b[31mdown\x1b[0m"), (False, "down")])
def test_paint_needs_colors(color, expected):
    assert expected == _console(color=color).paint("down", "red")


@pytest.mark.parametrize(
    ("stream", "env", "expected"),
    [
        (Terminal, {}, True),
        (Terminal, {"NO_COLOR": "1"}, False),
        (Terminal, {"TERM": "dumb"}, False),
        (io.StringIO, {}, False),
    ],
)
def test_colors_are_wanted_on_a_terminal_unless_no_color_is_set(stream, env, expected):
    assert expected == wants_color(stream(), env)


def test_columns_are_as_wide_as_their_widest_cell():
    rows = [("", "NAME", "N"), ("*", "a", "12"), ("", "long-name", "3")]
    assert ["   NAME       N", "*  a          12", "   long-name  3"] == table(rows)


def test_a_table_can_have_only_a_head():
    assert ["NAME  N"] == table([("NAME", "N")])


def test_foreign_text_can_not_steer_the_terminal():
    assert "a\\x1b[2J\\x0ab\\x9bé" == printable("a\x1b[2J\nb\x9bé")
    assert ["x\\x1b"] == table([("x\x1b",)])


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, "0s"),
        (0.9, "0s"),
        (59, "59s"),
        (60, "1m 0s"),
        (3599, "59m 59s"),
        (3723, "1h 2m"),
        (86400 * 3 + 3600 * 4 + 61, "3d 4h"),
    ],
)
def test_a_duration_is_in_the_two_largest_units(seconds, expected):
    assert expected == duration(seconds)


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 requests"), (1, "1 request"), (2, "2 requests")]
)
def test_one_is_singular(number, expected):
    assert expected == counted(number, "request")
