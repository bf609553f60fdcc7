"""Archives made to escape, to collide, to fill the disk or the memory: refused in one sentence, and nothing is left."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import random
import resource
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references import EMBEDDED
from sources_fixtures import contents, packed

from hub2hf.errors import SourceError
from hub2hf.sources import archive, resolve
from hub2hf.sources.archive import unpack
from hub2hf.sources.here import model_folder


def tar(*members: tuple[str, bytes | dict[str, object]], mode: str = "w:gz") -> bytes:
    """Members as (name, content), or (name, fields of its TarInfo)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as file:  # type: ignore[call-overload]
        for name, what in members:
            info = tarfile.TarInfo(name)
            content = what if isinstance(what, bytes) else b""
            info.size = len(content)
            for key, value in what.items() if isinstance(what, dict) else ():
                setattr(info, key, value)
            file.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zipped(*members: tuple[str, bytes], mode: int = 0, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, method
            file.writestr(info, content)
    return out.getvalue()


def folder() -> dict[str, object]:
    return {"type": tarfile.DIRTYPE}


NAMES = {
    "absolute": "/etc/x",
    "up": "../x",
    "up inside": "a/../../x",
    "up at the end": "a/..",
    "backslash": "..\\x",
    "drive": "C:x",
    "stream": "a:b",
    "empty part": "a//b",
    "newline": "a\nb",
    "trailing dot": "a./b",
    "trailing space": "a ",
    "deep": "/".join("a" * 40),
    "long": "a" * 1001,
}
SPECIAL: dict[str, tuple[bytes, str]] = {
    "symbolic link": (tar(("l", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"})), "link to '/etc/passwd'"),
    "link inside": (tar(("a", b""), ("l", {"type": tarfile.SYMTYPE, "linkname": "a"})), "link to 'a'"),
    "hard link": (tar(("l", {"type": tarfile.LNKTYPE, "linkname": "../x"})), r"link to '\.\./x'"),
    "device": (tar(("d", {"type": tarfile.CHRTYPE, "devmajor": 1})), "device"),
    "pipe": (tar(("d", {"type": tarfile.FIFOTYPE})), "device or pipe"),
    "unknown kind": (tar(("d", {"type": b"Q"})), "another kind|unknown|damaged"),
    "twice": (tar(("a", b"1"), ("a", b"2")), "twice"),
    "case": (tar(("a/B", b"1"), ("a/b", b"2")), "twice"),
    "unicode form": (tar(("\u00e9", b"1"), ("e\u0301", b"2")), "twice"),
    "folder case": (tar(("a/x", b"1"), ("A/y", b"2")), "case only"),
    "file as folder": (tar(("a", b"1"), ("a/b", b"2")), "twice"),
    "folder as file": (tar(("a/b", b"1"), ("a", b"2")), "twice"),
    "zip link": (zipped(("l", b"/etc/passwd"), mode=stat.S_IFLNK | 0o777), "link or a device"),
    "zip device": (zipped(("l", b""), mode=stat.S_IFCHR), "link or a device"),
    "zip twice": (zipped(("a", b"1"), ("A", b"2")), "twice"),
    "zip of lzma": (zipped(("a", b"1"), method=zipfile.ZIP_LZMA), "unusual compression"),
    "text": (b"saved_model.pb", r"neither a SavedModel folder nor a .tar.gz"),
    "empty": (b"", r"neither a SavedModel folder nor a .tar.gz"),
    "gzip of text": (gzip.compress(b"x" * 2000), "damaged|refused"),
    "something after the end": (gzip.compress(gzip.decompress(tar(("a", b"1"))) + b"x"), "follows"),
}


def refused(data: bytes, tmp_path: Path, match: str) -> None:
    path, out = tmp_path / "archive", tmp_path / "parent" / "out"
    out.mkdir(parents=True)
    path.write_bytes(data)
    with pytest.raises(SourceError, match=match) as told:
        unpack(path, out)
    assert str(path) in told.value.problem
    assert len(told.value.problem) < 500
    assert {p.name for p in tmp_path.iterdir()} <= {"archive", "parent", "again", "b", "c", "d", "e"}
    assert os.listdir(tmp_path / "parent") == ["out"]
    assert not any(p.is_symlink() for p in out.rglob("*"))


@pytest.mark.parametrize("case", NAMES)
def test_names_that_lead_elsewhere(case: str, tmp_path: Path) -> None:
    refused(tar((NAMES[case], b"x")), tmp_path, "the name")
    if case != "backslash":  # zipfile itself makes it a slash on Windows
        refused(zipped((NAMES[case], b"x")), tmp_path / "again", "the name")


@pytest.mark.parametrize("case", SPECIAL)
def test_what_is_no_plain_file(case: str, tmp_path: Path) -> None:
    refused(*SPECIAL[case][:1], tmp_path, SPECIAL[case][1])


def test_encrypted_zips(tmp_path: Path) -> None:
    data = bytearray(zipped(("a", b"secret")))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    refused(bytes(data), tmp_path, "encrypted")


def bomb(form: str) -> bytes:
    """A thousand times smaller than what it holds, which is more than is free of the bound of the ratio."""
    size, block = archive.FREE_BYTES + (64 << 20), bytes(1 << 20)
    out = io.BytesIO()
    if form == "zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file, file.open("a", "w") as member:
            for _ in range(size >> 20):
                member.write(block)
        return out.getvalue()
    info = tarfile.TarInfo("a")
    info.size = size
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6) as file:
        file.write(info.tobuf())
        for _ in range(size >> 20):
            file.write(block)
    return out.getvalue()


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_bombs(form: str, tmp_path: Path) -> None:
    refused(bomb(form), tmp_path, "would unpack to more than")


def test_a_bomb_that_lies_about_its_size(tmp_path: Path) -> None:
    """The directory of a zip tells another size than what its content unpacks to."""
    data = bytearray(bomb("zip"))
    at = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 10)
    refused(bytes(data), tmp_path, "damaged|refused")
    assert sum(p.stat().st_size for p in tmp_path.rglob("a")) <= 1 << 20


def test_many_files_and_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_FILES", 50)
    refused(tar(*((f"f{i}", b"") for i in range(51))), tmp_path, "more than 50 files")
    refused(tar(*((f"d{i}/", folder()) for i in range(51))), tmp_path / "b", "more than 50 files")
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, 1 << 30
    long = gzip.compress(header.tobuf() + bytes(20 << 20))
    refused(long, tmp_path / "c", r"a header in it has more than 4,194,304 bytes")
    refused(zipped(*((f"{i:0900d}", b"") for i in range(6000))), tmp_path / "d", "its directory has more")
    back = tarfile.TarInfo("a").tobuf()
    size = b"\xff" * 8 + struct.pack(">i", -512)  # base-256: a size below zero, which made tarfile go back for ever
    lying = bytearray(back)
    lying[124:136] = size
    lying[148:156] = b" " * 8
    lying[148:156] = b"%06o\0 " % sum(lying[:512])
    refused(gzip.compress(bytes(lying) + bytes(10240)), tmp_path / "e", "refused|damaged")


@pytest.mark.parametrize("form", ["tar.gz", "tar", "zip"])
@pytest.mark.parametrize("prefix", ["", "./", "model/"])
def test_archives_of_models(form: str, prefix: str, tmp_path: Path) -> None:
    path = tmp_path / f"m.{form}"
    path.write_bytes(packed(prefix, form))
    found = resolve(path)
    assert contents(found) == contents(EMBEDDED)
    assert found.name == ("model" if prefix == "model/" else found.name)
    assert resolve(path) == found
    assert not [p for p in found.rglob("*") if p.stat().st_mode & 0o022]


def test_the_model_one_folder_down_and_two_of_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "both" / name).mkdir(parents=True)
        (tmp_path / "both" / name / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(SourceError, match="2 SavedModels: a, b"):
        model_folder(tmp_path / "both")
    assert resolve(tmp_path / "both" / "a") == tmp_path / "both" / "a"


def test_truncated_and_flipped_archives(tmp_path: Path) -> None:
    """Cut or changed anywhere, an archive is refused or gives the very same files."""
    rng = random.Random(3)
    for form in ("tar.gz", "zip"):
        whole = packed(form=form)
        for i in range(60):
            data = bytearray(whole)
            if i % 2:
                del data[rng.randrange(len(data)) :]
            else:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path, out = tmp_path / f"{form}{i}", tmp_path / f"{form}{i}.out"
            path.write_bytes(data)
            out.mkdir()
            try:
                unpack(path, out)
            except SourceError:
                continue
            assert list(contents(out).values()) == list(contents(EMBEDDED).values())


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_hostile_headers(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Bytes of headers at random, their checksums made to match: refused, or files below the folder only."""
    base = bytearray(gzip.decompress(tar(("a/b", b"content"), ("c", b"x" * 600), ("d", folder()))))
    for _ in range(data.draw(st.integers(1, 6))):
        base[data.draw(st.integers(0, 511)) + 512 * data.draw(st.sampled_from([0, 2, 5]))] = data.draw(
            st.integers(0, 255)
        )
    for at in (0, 1024, 2560):
        if any(base[at : at + 100]):
            base[at + 148 : at + 156] = b" " * 8
            base[at + 148 : at + 156] = b"%06o\0 " % sum(base[at : at + 512])
    place = tmp_path_factory.mktemp("hostile")
    (place / "x").write_bytes(gzip.compress(bytes(base), 1))
    (place / "out").mkdir()
    with contextlib.suppress(SourceError):
        unpack(place / "x", place / "out")
    assert sorted(os.listdir(place)) == ["out", "x"]
    assert not any(p.is_symlink() for p in place.rglob("*"))


def test_an_archive_takes_little_memory(tmp_path: Path) -> None:
    """A member of 200 MB goes through a buffer; the process may not have as much."""
    import subprocess
    import sys

    (tmp_path / "m.tgz").write_bytes(tar(("a", os.urandom(1 << 20) * 200), mode="w"))
    (tmp_path / "out").mkdir()
    code = "import sys, pathlib; from hub2hf.sources.archive import unpack; unpack(*map(pathlib.Path, sys.argv[1:]))"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))

    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    arguments = [sys.executable, "-c", code, tmp_path / "m.tgz", tmp_path / "out"]
    subprocess.run(arguments, check=True, preexec_fn=limit, env=environment)
    assert (tmp_path / "out" / "a").stat().st_size == 200 << 20
