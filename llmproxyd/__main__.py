"""`python -m llmproxyd`."""

from llmproxyd.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
