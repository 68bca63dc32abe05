"""`python -m llmproxyctl`."""

from __future__ import annotations

import sys

from llmproxyctl.cli import main

if __name__ == "__main__":
    sys.exit(main())
