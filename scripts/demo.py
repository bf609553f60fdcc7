"""Convert the embedded model and prove it: every way of loading against embeddings recorded from TensorFlow.

Run: python scripts/demo.py [OUT]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import convert
from convert.equivalence.compare import compare, print_comparison
from convert.equivalence.golden import Golden
from convert.equivalence.pytorch_side import SURFACES, embed
from convert.report import print_conversion
from convert.sources import resolve

SOURCE = "lealla-mini"


def main() -> int:
    """Run the demo; return 0 when every surface is within its tolerance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", default=Path(".cache/demo/lealla-mini"))
    out = parser.parse_args().out
    print_conversion(SOURCE, convert.convert(SOURCE, out, force=True))
    golden = Golden.load(resolve(SOURCE).with_suffix(".golden.json"))
    texts = [sentence.text for sentence in golden.sentences]
    print(f"\nembedding {len(texts)} sentences as people load the folder, against TensorFlow {golden.tensorflow} …\n")
    found = {name: embed(name, out, texts) for name in SURFACES}
    return 0 if print_comparison(compare(golden, found)) else 1


if __name__ == "__main__":
    sys.exit(main())
