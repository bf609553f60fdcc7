"""Read the script number that `tf.strings.unicode_script` gives each code point, and write it as ranges.

The ICU inside TensorFlow is older than that of TensorFlow Text, whose scripts stand in unicode_tables.txt. So it is
observed: every code point goes through the op.

    python scripts/build_script_numbers.py           # rewrite convert/unicode/script_numbers.txt
    python scripts/build_script_numbers.py --check   # exit 1 if TensorFlow and the file differ
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from build_unicode_tables import ranges, write_or_compare

TABLE = Path(__file__).parent.parent / "convert" / "unicode" / "script_numbers.txt"
UNKNOWN = 103  # USCRIPT_UNKNOWN, of unassigned code points


def build() -> str:
    """The whole file, as text."""
    numbers = tf.strings.unicode_script(tf.range(0x110000)).numpy()
    lines = [
        "# ICU's UScriptCode of code points, from tf.strings.unicode_script; written by scripts/build_script_numbers.py.",
        "# One script a line: number, inclusive ranges in hexadecimal. What no line holds is 103, unknown.",
    ]
    for number in sorted(set(numbers.tolist()) - {UNKNOWN}):
        lines.append(" ".join([str(number), *ranges(np.flatnonzero(numbers == number).tolist())]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(write_or_compare(TABLE, build, __doc__))
