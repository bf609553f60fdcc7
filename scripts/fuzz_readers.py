"""Fuzz the readers with coverage as the guide (atheris, which is libFuzzer): only our errors may come out of them.

    python scripts/fuzz_readers.py [--seconds 60] [READER ...]

Each reader runs in a process of its own, its memory bounded and each input timed by libFuzzer. The corpus begins with the
files of tests/fuzz_seeds/READER and small real inputs; what breaks a reader is written beside them, to be kept as a test.
Without atheris (it has wheels for Linux) the same readers get the seeds, changed at random; so do the tests.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SEEDS = Path(__file__).parents[1] / "tests" / "fuzz_seeds"
SECONDS, MEGABYTES, MOST_SECONDS = 60, 500, 10
TIMEOUT = 60  # by the clock on the wall, which also runs while other programs keep the machine busy
MOST_BYTES = 4096

with contextlib.ExitStack() as _instrumented:
    if __name__ == "__main__" and "--child" in sys.argv:
        import atheris

        _instrumented.enter_context(atheris.instrument_imports(include=["hub2hf"]))
    from hub2hf import limits
    from hub2hf.errors import Hub2HFError
    from hub2hf.savedmodel import messages
    from hub2hf.savedmodel.attributes import decode_attribute
    from hub2hf.savedmodel.checkpoint import Checkpoint
    from hub2hf.savedmodel.model import SavedModel
    from hub2hf.savedmodel.slices import SliceError, parse_slice_spec
    from hub2hf.savedmodel.table import FOOTER_SIZE, _decode_block, mask_crc, read_table, read_varint
    from hub2hf.sources import resolve
    from hub2hf.sources.archive import unpack
    from hub2hf.tokenizer import read_vocabulary
    from hub2hf.unicode.automaton import TooComplexError, full_match, to_regex
    from hub2hf.unicode.codepoints import EVERYTHING
    from hub2hf.unicode.patterns import replacement
    from hub2hf.unicode.re2 import parse

import google_crc32c

PLACE = Path(tempfile.gettempdir())


def right_crcs(data: bytes) -> bytes:
    """Return a table with the checksum of every block that its index can name made to match."""
    changed = bytearray(data)
    with contextlib.suppress(ValueError, struct.error, IndexError):
        at, end = len(data) - FOOTER_SIZE, len(data) - 8
        places = []
        for _ in range(4):
            number, at = read_varint(data, at, end)
            places.append(number)
        _right_crc(changed, *places[:2])
        _right_crc(changed, *places[2:])
        for _, value in _decode_block(bytes(data[places[2] : places[2] + places[3]]), 0):
            offset, at = read_varint(value, 0, len(value))
            _right_crc(changed, offset, read_varint(value, at, len(value))[0])
    return bytes(changed)


def _right_crc(data: bytearray, offset: int, size: int) -> None:
    if offset >= 0 and size >= 0 and offset + size + 5 <= len(data):
        crc = google_crc32c.value(bytes(data[offset : offset + size + 1]))
        struct.pack_into("<I", data, offset + size + 1, mask_crc(crc))


def index(data: bytes) -> None:
    """An index, as it is and with right checksums, and a checkpoint of it."""
    folder = PLACE / "checkpoint"
    folder.mkdir(exist_ok=True)
    for content in (data, right_crcs(data)):
        (folder / "x.index").write_bytes(content)
        with contextlib.suppress(Hub2HFError):
            read_table(folder / "x.index")
            checkpoint = Checkpoint.open(folder / "x")
            for name in checkpoint.variables:
                checkpoint.read(name)


def graph(data: bytes) -> None:
    """A saved_model.pb, with every attribute decoded and every function read."""
    folder = PLACE / "model"
    folder.mkdir(exist_ok=True)
    (folder / "saved_model.pb").write_bytes(data)
    model = SavedModel.open(folder)
    for scope in (model.graph, *model.graph.functions.values()):
        for node in scope.nodes.values():
            for name in node.attr_names:
                with contextlib.suppress(Hub2HFError):
                    node.attr(name)
            with contextlib.suppress(Hub2HFError):
                model.variable_binding(node.name)


def attribute(data: bytes) -> None:
    """An AttrValue: constants, shapes, lists."""
    with contextlib.suppress(messages.MalformedMessage):
        decode_attribute(messages.parse("AttrValue", data), "attribute")


def pattern(data: bytes) -> None:
    """A regex, replaced by a literal and matched as a whole."""
    text = data.decode("utf-8", "replace")
    with limits.budget(0):
        with contextlib.suppress(Hub2HFError):
            replacement(text, "", "node")
        with contextlib.suppress(TooComplexError):
            to_regex(full_match((parse(text, "node"),), EVERYTHING), "$")


def piece(data: bytes) -> None:
    """A slice as RestoreV2 names it."""
    with contextlib.suppress(SliceError):
        parse_slice_spec(data.decode("utf-8", "replace"))


def vocabulary(data: bytes) -> None:
    """A vocabulary."""
    (PLACE / "vocab.txt").write_bytes(data)
    read_vocabulary(PLACE / "vocab.txt")


def archive(data: bytes) -> None:
    """An archive; nothing of it may appear beside its folder."""
    with tempfile.TemporaryDirectory(dir=PLACE) as place:
        (Path(place) / "archive").write_bytes(data)
        (Path(place) / "out").mkdir()
        try:
            unpack(Path(place) / "archive", Path(place) / "out")
        finally:
            if {path.name for path in Path(place).iterdir()} != {"archive", "out"}:
                raise AssertionError("something was written beside the folder")


READERS: dict[str, Callable[[bytes], None]] = {
    function.__name__: function for function in (index, graph, attribute, pattern, piece, vocabulary, archive)
}


def attempt(reader: str, data: bytes) -> None:
    """Give one input to a reader; only our errors are swallowed."""
    start = time.process_time()
    with contextlib.suppress(Hub2HFError):
        READERS[reader](data)
    if time.process_time() - start > MOST_SECONDS:
        raise AssertionError(f"{reader} computed for more than {MOST_SECONDS} seconds")


def seeds(reader: str) -> Iterator[bytes]:
    """Yield the kept inputs of a reader, those that broke it once among them, and small real ones."""
    for path in sorted((SEEDS / reader).glob("*")):
        yield path.read_bytes()
    base = resolve("lealla-mini")
    if reader == "index":
        yield (base / "variables/variables.index").read_bytes()
    elif reader in ("graph", "attribute"):
        yield from _messages(reader, base)
    elif reader == "vocabulary":
        yield (base / "assets/vocab.txt").read_bytes()[:500]


def _messages(reader: str, base: Path) -> Iterator[bytes]:
    proto = messages.parse("SavedModel", (base / "saved_model.pb").read_bytes())
    nodes = proto.meta_graphs[0].graph_def.node
    if reader == "attribute":
        values = [value.SerializeToString() for node in nodes[:400] for value in node.attr.values()]
        yield from sorted({value for value in values if len(value) < MOST_BYTES}, key=lambda v: (len(v), v))[:60]
        return
    small = messages.new("SavedModel")
    meta = small.meta_graphs.add()
    meta.meta_info_def.tags.append("serve")
    for node in (
        n for n in nodes if n.op in ("Const", "VarHandleOp", "ReadVariableOp", "RestoreV2", "AssignVariableOp")
    ):
        if meta.ByteSize() + node.ByteSize() < MOST_BYTES // 2:
            meta.graph_def.node.add().CopyFrom(node)
    yield small.SerializeToString()


def changed(data: bytes, rng: random.Random) -> bytes:
    """Return an input changed at a few places."""
    out = bytearray(data or b"\0")
    for _ in range(rng.choice((1, 2, 8))):
        at = rng.randrange(len(out) or 1)
        match rng.randrange(4):
            case 0:
                out[at : at + 1] = bytes([rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))])
            case 1:
                del out[at : at + rng.choice((1, 4, 100))]
            case 2:
                out[at:at] = out[at : at + rng.choice((1, 8, 64))] or b"\0"
            case _:
                out[at:at] = rng.randbytes(rng.choice((1, 4)))
    return bytes(out)


def at_random(reader: str, count: int, seed: int = 0) -> int:
    """Give `count` changed seeds to a reader; return how many it was given. The way without atheris."""
    rng, known = random.Random(f"{reader} {seed}"), list(seeds(reader))
    for data in known:
        attempt(reader, data)
    for _ in range(count):
        attempt(reader, changed(rng.choice(known), rng))
    return len(known) + count


def guided(reader: str, seconds: int) -> tuple[int, bool]:
    """Run libFuzzer on a reader in a process of its own; return how many inputs it tried, and whether all went well."""
    with tempfile.TemporaryDirectory() as place:
        corpus = Path(place) / "corpus"
        corpus.mkdir()
        for number, data in enumerate(seeds(reader)):
            (corpus / str(number)).write_bytes(data)
        found = SEEDS / reader
        found.mkdir(parents=True, exist_ok=True)
        options = [
            f"-max_total_time={seconds}",
            f"-rss_limit_mb={MEGABYTES}",
            f"-timeout={TIMEOUT}",
            "-print_final_stats=1",
        ]
        options += [
            f"-artifact_prefix={found}/",
            "-close_fd_mask=1",
            f"-max_len={4 * MOST_BYTES}",
            "-seed=1",
            str(corpus),
        ]
        command = [sys.executable, __file__, "--child", reader, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place)
    lines = done.stderr.splitlines()
    tried = [line.split(":")[-1] for line in lines if "number_of_executed_units" in line]
    if done.returncode:
        print("\n".join(lines[-40:]))
    return int(tried[-1]) if tried else 0, done.returncode == 0


def _child(reader: str, options: list[str]) -> None:
    global PLACE  # noqa: PLW0603
    with tempfile.TemporaryDirectory() as place:
        PLACE = Path(place)
        vars(limits)["SECONDS"] = 0.2  # a pattern may take all of it: more patterns rather than longer
        atheris.Setup([sys.argv[0], *options], lambda data: attempt(reader, data))
        atheris.Fuzz()


def main() -> None:
    """Fuzz every reader asked for, in turn, and print how many inputs each was given."""
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2], sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each reader")
    parser.add_argument("readers", nargs="*", default=list(READERS))
    asked = parser.parse_args()
    try:
        import atheris as found  # noqa: F401

        way: Any = guided
    except ImportError:
        print("atheris is not installed: inputs are changed at random")
        way = _timed
    whole, good = 0, True
    for reader in asked.readers:
        tried, well = way(reader, asked.seconds)
        whole, good = whole + tried, good and well
        print(f"{reader}: {tried:,} inputs, {'only our errors' if well else 'BROKEN, see above'}", flush=True)
    print(f"{whole:,} inputs to {len(asked.readers)} readers")
    sys.exit(not good)


def _timed(reader: str, seconds: int) -> tuple[int, bool]:
    until, tried = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        tried += at_random(reader, 200, tried)
    return tried, True


if __name__ == "__main__":
    main()
