"""Build a SavedModel to convert: python scripts/build.py FAMILY OUT …, and FAMILY --help says what else it takes.

A family is a file of scripts/builders/. Needs TensorFlow and TF.Text (`pip install '.[tensorflow]'`).
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

FAMILIES = ("lealla", "bert-tf2", "mobilebert", "t5", "pieces", "trained")


def main() -> None:
    """Run the command of the family that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=FAMILIES)
    family = parser.parse_args(sys.argv[1:2]).family
    import_module(f"builders.{family.replace('-', '_')}").main(sys.argv[2:])


if __name__ == "__main__":
    main()
