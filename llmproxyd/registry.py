"""Finds the providers: the modules in `backends/`, and the entry points `llmproxyd.backends`.

A module or entry point that offers a provider is all it takes; nothing else names it. In another
package's `pyproject.toml`:

    [project.entry-points."llmproxyd.backends"]
    acme = "acme_llm.backend:BACKEND"
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pkgutil import iter_modules

from llmproxyd import backends
from llmproxyd.spi import Backend

ENTRY_POINTS = "llmproxyd.backends"


def _ignore(problem: str) -> None:
    """Report nowhere."""


def discover(report: Callable[[str], None] = _ignore) -> dict[str, Backend]:
    """Every provider that is installed, by its kind, in alphabetical order.

    Args:
        report: told one sentence for each entry point of another package that can not be used;
            the others still work.

    Raises:
        ValueError: two providers have one kind; the message names both origins.
    """
    found: dict[str, tuple[Backend, str]] = {}
    for backend, origin in (*_own(), *_installed(report)):
        if backend.kind in found:
            raise ValueError(
                f"backend type {backend.kind!r} is defined twice: "
                f"in {found[backend.kind][1]} and in {origin}"
            )
        found[backend.kind] = backend, origin
    return {kind: found[kind][0] for kind in sorted(found)}


def _own() -> Iterator[tuple[Backend, str]]:
    """The providers of this package; one that does not load is a bug and raises."""
    for module in iter_modules(backends.__path__, f"{backends.__name__}."):
        yield import_module(module.name).BACKEND, f"module {module.name}"


def _installed(report: Callable[[str], None]) -> Iterator[tuple[Backend, str]]:
    """The providers of other packages."""
    for point in entry_points(group=ENTRY_POINTS):
        origin = f"entry point {point.name} = {point.value}"
        try:
            yield _load(point), origin
        except Exception as error:  # noqa: BLE001 - strangers' code may raise anything
            report(f"backend of {origin} can not be used: {type(error).__name__}: {error}")


def _load(point: EntryPoint) -> Backend:
    backend = point.load()
    if not isinstance(backend, Backend):
        raise TypeError(f"it is a {type(backend).__name__}, not a Backend")
    return backend
