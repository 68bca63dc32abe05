"""Coverage-guided fuzzing of the stream decoders, with atheris (libFuzzer).

    python tests/fuzz/fuzz_streams.py [-runs=N] [-seed=N] [other options of libFuzzer] [FOLDER...]

New inputs go to the first FOLDER; without any, to nowhere. An input that breaks an invariant is
printed, and kept below `-artifact_prefix`: fix the bug, then put the input into `corpus/`, where
`test_corpus.py` replays it in every test run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

with atheris.instrument_imports(include=["llmproxyd.wire", "llmproxyd.dialects"]):
    from tests.fuzz.invariants import check

OPTIONS = (f"-dict={HERE / 'tokens.dict'}", "-max_len=2048", "-timeout=20", "-rss_limit_mb=2048")


def main() -> None:
    """Fuzz until `-runs` are through, or something breaks."""
    atheris.Setup([sys.argv[0], *OPTIONS, *sys.argv[1:]], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
