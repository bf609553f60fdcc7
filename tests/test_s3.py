"""Corpora on S3: a server of its protocol on this machine; run by `make ray`, in an environment of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest

import hub2hf
from hub2hf.equivalence.sentences import language_sentences

pytestmark = pytest.mark.slow  # only `make ray` has the server, and runs what is slow

TEXTS = [sentence.text for sentence in language_sentences()][:200]
Url = Callable[[str], str]


@pytest.fixture(scope="module")
def url() -> Iterator[Url]:
    """Return a function from a key to its URL, on a server that runs meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server = subprocess.Popen(
        [os.environ["HUB2HF_S3"], "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
        options = f"scheme=http&endpoint_override=127.0.0.1%3A{port}&region=us-east-1&allow_bucket_creation=true"
        yield lambda key: f"s3://key:secret@bucket/{key}?{options}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hub2hf.convert("lealla-mini", tmp_path_factory.mktemp("model") / "lealla-mini", onnx=True).out


@pytest.fixture(scope="module")
def corpus(url: Url) -> str:
    """Parquet and JSON lines, as a folder."""
    files, _ = pa.fs.FileSystem.from_uri(url("in"))
    files.create_dir("bucket")
    with files.open_output_stream("bucket/in/a.parquet") as stream:
        pq.write_table(pa.table({"text": TEXTS[:90]}), stream, row_group_size=20)
    with files.open_output_stream("bucket/in/b.jsonl") as stream:
        stream.write("".join(f"{json.dumps({'text': text})}\n" for text in [*TEXTS[90:], None]).encode())
    return url("in")


def kept(url: Url, key: str) -> dict[str, bytes]:
    """Return name → bytes of all that is under a key."""
    files, path = pa.fs.FileSystem.from_uri(url(key))
    inside = files.get_file_info(pa.fs.FileSelector(path, recursive=True))
    return {
        info.path.removeprefix(f"{path}/"): files.open_input_stream(info.path).read()
        for info in inside
        if info.type == pa.fs.FileType.File
    }


class Stop(Exception):
    pass


def stop(done: int, total: int | None) -> None:
    if done > 100:
        raise Stop


@pytest.mark.parametrize("engine", [{}, {"engine": "ray", "workers": 2}], ids=["local", "ray"])
def test_from_s3_to_s3_stopped_and_gone_on_with(
    folder: Path, corpus: str, url: Url, engine: dict[str, Any], tmp_path: Path
) -> None:
    """The rows and vectors are those of files on a disk, and nothing else is left there."""
    out = f"out-{len(engine)}"
    with pytest.raises(Stop):
        hub2hf.embed(folder, corpus, url(out), window=16, progress=stop)
    found = hub2hf.embed(folder, corpus, url(out), window=16, **engine)
    assert (found.rows, found.failed, found.out) == (len(TEXTS) + 1, {"null": 1}, f"s3://bucket/{out}")
    there = kept(url, out)
    assert sorted(there) == ["_hub2hf.json", "part-00000-of-00002.parquet", "part-00001-of-00002.parquet"]
    assert b"secret" not in b"".join(there.values())
    tables = [pq.read_table(pa.BufferReader(there[name])) for name in sorted(there)[1:]]
    assert [text for table in tables for text in table.column("text").to_pylist()] == [*TEXTS, None]
    vectors = [row for table in tables for row in table.column("embedding").to_pylist()]
    assert vectors.pop() is None
    (tmp_path / "in.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    hub2hf.embed(folder, tmp_path / "in.txt", tmp_path / "out.parquet", window=16)
    expected = pq.read_table(tmp_path / "out.parquet").column("embedding").to_pylist()
    assert np.abs(np.array(vectors) - np.array(expected)).max() < 2e-6


def test_stored_vectors_and_sentences_on_s3(folder: Path, corpus: str, url: Url) -> None:
    hub2hf.embed(folder, corpus, url("index.parquet"))
    found = hub2hf.verify_vectors(url("index.parquet"), folder)
    assert (found.verdict, found.total.matching, found.golden) == ("keep", len(TEXTS), "s3://bucket/index.parquet")
    report = hub2hf.verify("lealla-mini", folder, sentences=corpus, surfaces=["onnx"])
    assert (report.equivalent, sum(row.sentences for row in report.rows)) == (True, len(TEXTS))
