"""The house stays small: no long file, no long function, no source file without its test file.

The exception lists may only shrink: an entry that no longer breaks its rule fails the test.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE_MAX_LINES = 400
FUNCTION_MAX_LINES = 60

LONG_FILES: frozenset[str] = frozenset()
LONG_FUNCTIONS: frozenset[str] = frozenset()  # "path:name"
WITHOUT_TESTS: frozenset[str] = frozenset()

SOURCES = {
    str(path.relative_to(ROOT)): path
    for package in ("llmproxyd", "llmproxyctl")
    for path in sorted((ROOT / package).rglob("*.py"))
}
UNTESTED_NAMES = {"__init__.py", "__main__.py"}


def expected_test(source: str) -> Path:
    """`llmproxyd/wire/sse.py` is tested by `tests/wire/test_sse.py`; the client keeps its name."""
    path = Path(source.removeprefix("llmproxyd/"))
    return ROOT / "tests" / path.parent / f"test_{path.name}"


def long_functions(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(SOURCES[source].read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_MAX_LINES:
                yield f"{source}:{node.name}"


@pytest.mark.parametrize("source", SOURCES)
def test_file_is_short(source: str) -> None:
    lines = len(SOURCES[source].read_text().splitlines())
    assert (source in LONG_FILES) == (lines > FILE_MAX_LINES), f"{source} has {lines} lines"


@pytest.mark.parametrize("source", SOURCES)
def test_functions_are_short(source: str) -> None:
    excepted = {name for name in LONG_FUNCTIONS if name.startswith(f"{source}:")}
    assert excepted == set(long_functions(source))


@pytest.mark.parametrize(
    "source", [source for source in SOURCES if Path(source).name not in UNTESTED_NAMES]
)
def test_source_file_has_its_test_file(source: str) -> None:
    test = expected_test(source)
    assert (source in WITHOUT_TESTS) == (not test.exists()), f"{test.relative_to(ROOT)} is missing"


def test_exceptions_name_files_that_exist() -> None:
    named = LONG_FILES | WITHOUT_TESTS | {name.partition(":")[0] for name in LONG_FUNCTIONS}
    assert set() == named - set(SOURCES)
