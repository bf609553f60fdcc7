"""A sample of `make fuzz`: crafted models, every kept input, some of each family, and properties of checkpoints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import fuzz_readers
import google_crc32c
import numpy as np
import pytest
import shared
from builders.crafted import CRAFTED
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references import ROOT

from hub2hf.errors import CheckpointError
from hub2hf.savedmodel import messages
from hub2hf.savedmodel.checkpoint import Checkpoint
from hub2hf.savedmodel.slices import encode_slice_key
from hub2hf.savedmodel.table import mask_crc

linux = pytest.mark.skipif(sys.platform != "linux", reason="measures memory by /proc")
SAMPLE = 3
EVERY = 5  # of the crafted models: `make fuzz` has them all
TURN = shared.turn()
START = TURN % 290  # of the 300 that `make fuzz` has


def fuzz(*options: str, script: str = "scripts/fuzz_savedmodel.py") -> subprocess.CompletedProcess[str]:
    """Run the fuzzer in a process of its own: what a process has imported before counts in the memory of its children.

    It may take three times as long as in `make fuzz`: other workers and other programs keep the processors busy.
    """
    command = [sys.executable, str(ROOT / script), *options]
    environment = os.environ | {"HUB2HF_PATIENCE": "3"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@linux
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["--crafted", "--every", str(EVERY), "--start", str(TURN)],
            f"crafted: {len(range(TURN % EVERY, len(CRAFTED), EVERY))} cases",
        ),
        (["--random", "--cases", str(SAMPLE), "--start", str(START)], f"raw bytes: {SAMPLE} cases"),
    ],
    ids=["crafted", "random"],
)
def test_models_that_lie(options: list[str], told: str) -> None:
    done = fuzz(*options)
    assert done.returncode == 0, done.stdout
    assert told in done.stdout


@linux
def test_operations_on_hostile_inputs() -> None:
    done = fuzz("--cases", "4", script="tests/operations/fuzz_operations.py")
    assert done.returncode == 0, done.stdout


@linux
def test_a_model_that_does_not_lie_is_converted_as_ever() -> None:
    outcome, said = fuzz("--case", "crafted", "unchanged").stdout.split("\n", 1)
    assert (outcome.split(",")[0], said.strip()) == ("converted", "")


@pytest.mark.parametrize("reader", list(fuzz_readers.READERS))
def test_readers(reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_readers, "PLACE", tmp_path)
    count = 40 if reader == "pattern" else 150  # a pattern may take its whole budget of time
    assert fuzz_readers.at_random(reader, count, TURN) > count


ODD = st.sampled_from([0, 1, 2, 3, 4, 5, 12, 24, 48, -1, 2**31 - 1, 2**31, 2**40, 2**62, -(2**63)])
DTYPES = st.sampled_from([1, 1, 1, 2, 3, 7, 9, 14, 20, 0, 999])
CONTENT = np.arange(64, dtype=np.uint8).tobytes()


@st.composite
def entries(draw: st.DrawFn) -> tuple[Any, bool]:
    """An entry of an index, its CRC32C right where its bytes exist."""
    entry = messages.new("BundleEntryProto")
    entry.dtype, entry.offset = draw(DTYPES), draw(ODD)
    for size in draw(st.lists(ODD, max_size=3)):
        entry.shape.dim.add(size=size)
    entry.size = draw(ODD)
    if draw(st.booleans()) and 0 <= entry.offset <= 64 and entry.size >= 0:
        entry.crc32c = mask_crc(google_crc32c.value(CONTENT[entry.offset : entry.offset + entry.size]))
    for start, length in draw(st.lists(st.tuples(ODD, ODD), max_size=3)):
        extent = entry.slices.add().extent.add()
        extent.start, extent.length = start, length
    return entry, True


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(found=st.dictionaries(st.sampled_from([b"a", b"b", b"c"]), entries(), min_size=1), parts=st.lists(entries()))
def test_a_checkpoint_gives_the_bytes_of_its_file_or_an_error(
    found: dict[bytes, tuple[Any, bool]], parts: list[tuple[Any, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Shapes, offsets, sizes, slices at random: never other numbers than those that stand in the file."""
    from builders.bundles import encode_table

    header = messages.new("BundleHeaderProto")
    header.num_shards = 1
    header.version.producer = 1
    table = {b"": header.SerializeToString(), **{key: entry.SerializeToString() for key, (entry, _) in found.items()}}
    for (part, _), (key, (entry, _)) in zip(parts, found.items(), strict=False):
        for piece in entry.slices:
            extents = [(int(e.start), int(e.length)) for e in piece.extent]
            if all(abs(n) < 2**62 for pair in extents for n in pair):
                table[encode_slice_key(key, extents)] = part.SerializeToString()
    folder = tmp_path_factory.mktemp("checkpoint")
    (folder / "x.index").write_bytes(encode_table(sorted(table.items())))
    (folder / "x.data-00000-of-00001").write_bytes(CONTENT)
    try:
        checkpoint = Checkpoint.open(folder / "x")
        values = {name: checkpoint.read(name) for name in checkpoint.variables}
    except CheckpointError:
        return
    for name, value in values.items():
        entry = found[name.encode()][0]
        if not entry.slices and value.dtype != object:
            assert value.tobytes() == CONTENT[entry.offset : entry.offset + entry.size]
