"""The proxy daemon: one local port for every Claude CLI, any model behind it.

The rooms and the direction of their imports are drawn in `docs/architecture.md` and
enforced by import-linter (`pyproject.toml`). Start reading at `pipeline.py`.
"""

__version__ = "0.1.0"
