"""Writes the outputs of every golden case anew; review the diff before it is committed.

python tests/golden/rewrite.py            all cases
python tests/golden/rewrite.py CASE...    those whose folder has one of these names
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.golden.replay import FOLDER, OUTPUTS, folders, play


def rewrite(folder: Path) -> list[str]:
    """Write what `folder` gives now; returns the names of the files that differ from before."""
    files = play(folder)
    before = {name: (folder / name).read_bytes() for name in OUTPUTS if (folder / name).exists()}
    for name in before.keys() - files:
        (folder / name).unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return sorted(name for name in before.keys() | files if before.get(name) != files.get(name))


def main(names: list[str]) -> None:
    """Rewrite the cases called `names`, or all."""
    for folder in folders():
        if not names or folder.name in names:
            for name in rewrite(folder):
                print((folder / name).relative_to(FOLDER.parent.parent))


if __name__ == "__main__":
    main(sys.argv[1:])
