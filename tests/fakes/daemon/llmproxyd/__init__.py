"""Stands in front of the real package, so that `python -m llmproxyd` is the script beside it."""

from __future__ import annotations

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
__version__ = "0.0.0+scripted"
