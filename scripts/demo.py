"""Convert the embedded model and prove it: every way of loading against embeddings recorded from TensorFlow.

Run: python scripts/demo.py [OUT]
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import hub2hf
from hub2hf.commands.converted import print_conversion
from hub2hf.commands.tables import screen
from hub2hf.equivalence.reports import print_report
from hub2hf.errors import pasted
from hub2hf.sources import recording_of

SOURCE = "lealla-mini"


def main() -> int:
    """Run the demo; return 0 when every way of loading that is declared exact is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", default=Path(".cache/demo/lealla-mini"))
    out = parser.parse_args().out
    source = hub2hf.Source.find(SOURCE)
    print_conversion(source, hub2hf.convert(source, out, force=True))
    print("\nembedding the sentences of 109 languages as people load the folder, against TensorFlow's …\n", flush=True)
    report = hub2hf.verify(None, out, golden=recording_of(SOURCE))
    print_report(report, screen())
    programs = Path(os.path.relpath(Path(sys.executable).parent))  # of the environment, which need not be active
    install = pasted(programs / "pip", "install", ".[torch,tensorflow]")
    print("\nIt was compared with a recording of TensorFlow. To run TensorFlow itself:")
    print(f"{install} && {pasted(programs / 'hub2hf', 'verify', SOURCE, out)}")
    return 0 if report.equivalent else 1


if __name__ == "__main__":
    sys.exit(main())
