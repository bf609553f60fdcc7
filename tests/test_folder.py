"""The folder: complete or absent, the same bytes every time, readable by the libraries it is for."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import filelock
import numpy as np
import pytest
from references import EMBEDDED, Reference

import hub2hf
from hub2hf.architectures import MODEL_FILE, NOTICE
from hub2hf.architectures.activations import ACTIVATIONS
from hub2hf.architectures.bert import ARCHITECTURE as BERT
from hub2hf.commands.ending import Stopped
from hub2hf.errors import CheckpointError, ExportError, MappingError
from hub2hf.folder import files
from hub2hf.folder.files import write_pieces
from hub2hf.folder.sentence_transformers import COEFFICIENTS, GELU_APART, SCALES
from hub2hf.folder.weights import write_arrays, write_safetensors
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.values import Stored, Values
from hub2hf.state_dict import COPY, Mapped

DATA = "variables/variables.data-00000-of-00001"
CONVERT = "import sys, hub2hf; hub2hf.convert(sys.argv[1], sys.argv[2], force='--force' in sys.argv)"


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hub2hf", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


def test_two_runs_give_the_same_bytes(variant: Reference, converted_variant: Path, tmp_path: Path) -> None:
    assert contents(hub2hf.convert(variant.folder, tmp_path / "b", onnx=True).out) == contents(converted_variant)


class TestPieces:
    @pytest.mark.parametrize("busy", [[False], [True], [True, False], [False, True]])
    def test_they_are_whole_and_hashed(self, busy: list[bool], tmp_path: Path) -> None:
        """Whether other work goes on beside, or begins or ends meanwhile."""
        rng = np.random.default_rng(0)
        pieces = [
            rng.bytes(size)
            for size in (0, 5, files.WORTH_A_THREAD - 1, 3 * files.WORTH_A_THREAD, 7, 2 * files.WORTH_A_THREAD)
        ]
        entry = write_pieces(tmp_path / "file", iter(pieces), itertools.cycle(busy).__next__)
        whole = b"".join(pieces)
        assert (tmp_path / "file").read_bytes() == whole
        assert entry == {"bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}

    @pytest.mark.parametrize("most", [0, 1, 2])
    def test_the_disk_begins_before_the_end_and_its_errors_are_heard(
        self, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A disk says once that it failed: here at first, of `most` times that something is brought to it; of 0: never."""
        sizes: list[int] = []

        def fsync(handle: int) -> None:
            sizes.append(os.fstat(handle).st_size)
            if most and len(sizes) == 1:
                raise OSError(5, "Input/output error")

        monkeypatch.setattr(files, "WORTH_A_SYNC", 1000)
        monkeypatch.setattr(os, "fsync", fsync)

        def pieces() -> Iterator[bytes]:
            until = time.monotonic() + 3.0
            while len(sizes) < (most or 1) and time.monotonic() < until:
                yield bytes(1000)
                time.sleep(0.001)
            yield bytes(10)

        if most:
            with pytest.raises(OSError, match="Input/output error"):
                write_pieces(tmp_path / "file", pieces(), lambda: True)
        else:
            write_pieces(tmp_path / "file", pieces(), lambda: True)
            assert sizes[0] < (tmp_path / "file").stat().st_size == sizes[-1]


def test_the_manifest_has_every_file_and_the_source(tmp_path: Path) -> None:
    files = contents(hub2hf.convert(EMBEDDED, tmp_path / "out").out)
    manifest = json.loads(files.pop("hub2hf.json"))
    listed = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    assert listed == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    source = {name: hashlib.sha256(data).hexdigest() for name, data in contents(EMBEDDED).items()}
    assert {name: entry["sha256"] for name, entry in manifest["source"]["files"].items()} == source
    assert {"mapping", "encoder", "text", "unused"} <= manifest["blueprint"].keys()
    assert manifest["converter"]["name"] == "hub2hf"


def test_safetensors_reads_the_weights(converted_variant: Path) -> None:
    from safetensors import safe_open

    own_class = (converted_variant / MODEL_FILE).exists()
    for path in converted_variant.rglob("*.safetensors"):
        with safe_open(path, "np") as file:
            assert all(np.isfinite(file.get_tensor(key)).all() for key in file.keys())  # noqa: SIM118
            assert file.metadata() == {"format": "pt"}
            assert (NOTICE in file.keys()) == (own_class and path.parent == converted_variant)  # noqa: SIM118


def test_progress_counts_the_bytes_of_the_weights_and_ends_at_all_of_them(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    out = hub2hf.convert(EMBEDDED, tmp_path / "out", progress=lambda done, total: told.append((done, total))).out
    data = (out / "model.safetensors").read_bytes()
    weights = len(data) - 8 - int.from_bytes(data[:8], "little")
    assert told[-1] == (weights, weights)
    assert {total for _, total in told} == {weights}
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert len(told) > 10


def test_the_model_class_is_called_as_any_other(converted: Path) -> None:
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(converted, trust_remote_code=True).eval()
    named = list(inspect.signature(type(model).forward).parameters)
    assert named[1:6] == ["input_ids", "attention_mask", "token_type_ids", "position_ids", "inputs_embeds"]
    ids = torch.tensor([[101, 200, 300, 102]])
    with torch.no_grad():
        expected = model(ids).pooler_output
        whole = model(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True)
        states, pooled = model(ids, return_dict=False)[:2]
        embedded = model(inputs_embeds=model.get_input_embeddings()(ids)).pooler_output
        plain = type(model).from_pretrained(converted, add_pooling_layer=False).eval()(ids)
    assert len(whole.hidden_states) == 4
    for found in (whole.pooler_output, pooled, embedded):
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(plain.last_hidden_state, states)
    assert plain.pooler_output is None


def test_the_config_says_that_it_is_no_tokenizer_of_mistral(converted: Path) -> None:
    """What transformers 4.57 looks at in `_patch_mistral_regex` of a vocabulary of more than 100,000 pieces."""
    config = json.loads((converted / "config.json").read_text())
    assert tuple(map(int, config["transformers_version"].split("."))) <= (4, 57, 2)
    assert config["model_type"] == "bert"


def test_padding_is_that_of_the_graph() -> None:
    blueprint = hub2hf.inspect(EMBEDDED)
    for pad_id in (0, 7):
        assert BERT.config(blueprint.encoder, pad_id)["pad_token_id"] == pad_id


def test_a_damaged_variable_that_is_not_converted_is_an_error(tmp_path: Path) -> None:
    """Its bytes are nobody's concern, and that they are others than were saved is."""
    shutil.copytree(EMBEDDED, tmp_path / "model")
    checkpoint = SavedModel.open(EMBEDDED).checkpoint
    (name,) = hub2hf.inspect(EMBEDDED).encoder.unused
    data = bytearray((tmp_path / "model" / DATA).read_bytes())
    at = data.index(checkpoint.read(name).tobytes())
    data[at] ^= 1
    (tmp_path / "model" / DATA).write_bytes(data)
    with pytest.raises(CheckpointError, match=f"{name}.*CRC32C"):
        hub2hf.convert(tmp_path / "model", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_weight_that_is_no_float_is_refused(tmp_path: Path) -> None:
    values = Values(None, {})
    stored = Stored(np.dtype(np.int8), (2,), 2)
    values.stored = lambda name: stored  # type: ignore[method-assign]
    with pytest.raises(MappingError, match="'v' is int8"):
        write_safetensors(tmp_path / "x", values, [Mapped("v", "pooler.dense.bias", COPY, (2,))])


def test_write_arrays_is_what_safetensors_reads(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    arrays = {"b": np.arange(6, dtype=np.float32).reshape(2, 3).T, "a": np.zeros(0, np.float16), "c": np.ones(3)}
    write_arrays(tmp_path / "x.safetensors", arrays)
    found = load_file(tmp_path / "x.safetensors")
    assert all(np.array_equal(found[key], value) and found[key].dtype == value.dtype for key, value in arrays.items())


def test_the_sum_of_erf_gelus_is_the_tanh_gelu() -> None:
    x = np.linspace(-50.0, 50.0, 200_001)
    fitted = sum(c * ACTIVATIONS["gelu_erf"].function(a * x) for a, c in zip(SCALES, COEFFICIENTS, strict=True))
    apart = np.abs(fitted - ACTIVATIONS["gelu_tanh"].function(x)).max()
    assert 0.9 * GELU_APART < apart <= GELU_APART


@pytest.mark.parametrize("name", ["gelu_tanh", "gelu_erf", "relu", "tanh"])
def test_activations_are_those_of_transformers(name: str) -> None:
    import torch
    from transformers.activations import ACT2FN

    x = torch.linspace(-8.0, 8.0, 4001, dtype=torch.float64)
    expected = ACT2FN[ACTIVATIONS[name].transformers_name](x).numpy()
    assert np.abs(ACTIVATIONS[name].function(x.numpy()) - expected).max() < 1e-12


def test_an_existing_folder_is_kept_without_force(tmp_path: Path) -> None:
    out = hub2hf.convert(EMBEDDED, tmp_path / "out").out
    whole = contents(out)
    with pytest.raises(ExportError, match=r"is not empty.*pass --force to replace it"):
        hub2hf.convert(EMBEDDED, out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"did not write: notes.txt.*Move them elsewhere"):  # --force would not help
        hub2hf.convert(EMBEDDED, out)
    assert contents(out) == {**whole, "notes.txt": b"mine"}


def test_force_replaces_and_an_empty_folder_is_taken(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    whole = contents(hub2hf.convert(EMBEDDED, out).out)
    (out / "tokenizer.json").unlink()
    (out / ".hub2hf.json.4711").write_text("of a run that was killed")
    assert contents(hub2hf.convert(EMBEDDED, out, force=True).out) == whole
    assert os.listdir(tmp_path) == ["out"]


def test_force_replaces_nothing_but_what_hub2hf_wrote(tmp_path: Path) -> None:
    """A folder of somebody's, another SavedModel, a folder of ours with more in it, a clone of a repository."""
    thesis, out, linked = tmp_path / "thesis", tmp_path / "out", tmp_path / "linked"
    (thesis / "chapters").mkdir(parents=True)
    (thesis / "chapters" / "1.tex").write_text("mine")
    other = Path(shutil.copytree(EMBEDDED, tmp_path / "other"))
    (linked / "sub").mkdir(parents=True)
    (linked / "sub" / "notes").symlink_to(thesis)
    shutil.copytree(hub2hf.convert(EMBEDDED, out).out, tmp_path / "clone")
    (out / "stale.txt").write_text("old")
    (tmp_path / "clone" / ".git").mkdir()
    (tmp_path / "clone" / ".git" / "HEAD").write_text("ref: refs/heads/main")
    for folder, named in (
        (thesis, "chapters/1.tex"),
        (other, "assets/vocab.txt"),
        (linked, "sub/notes"),
        (out, ": stale.txt. Nothing was touched"),
        (tmp_path / "clone", ".git/HEAD"),
    ):
        before = contents(folder)
        with pytest.raises(ExportError, match="did not write") as refusal:
            hub2hf.convert(EMBEDDED, folder, force=True)
        assert named in str(refusal.value)
        assert contents(folder) == before


@pytest.mark.parametrize("name", ["README.md", "config.json", "model.safetensors"])
def test_force_replaces_nothing_that_a_person_changed(tmp_path: Path, name: str) -> None:
    """A card with words of one's own, weights that were trained on: of the same length, for what it is worth."""
    out = hub2hf.convert(EMBEDDED, tmp_path / "out").out
    path = out / name
    path.write_bytes(path.read_bytes()[:-2] + b"!\n")
    before = contents(out)
    for command in (
        lambda: hub2hf.convert(EMBEDDED, out, force=True),
        lambda: hub2hf.slim(hub2hf.convert(EMBEDDED, tmp_path / "whole").out, out, languages=["de"], force=True),
    ):
        with pytest.raises(ExportError, match=rf"{name} was changed since hub2hf wrote it\. Nothing was touched\."):
            command()
    assert contents(out) == before
    path.rename(tmp_path / "mine")
    hub2hf.convert(EMBEDDED, out, force=True)
    assert hub2hf.integrity(out) == {}


def test_out_inside_the_source_is_refused(tmp_path: Path) -> None:
    model = Path(shutil.copytree(EMBEDDED, tmp_path / "model"))
    with pytest.raises(ExportError, match="is inside"):
        hub2hf.convert(model, model / "deep" / "out")
    assert contents(model) == contents(EMBEDDED)


def test_force_keeps_the_old_folder_when_the_source_is_damaged(tmp_path: Path, damaged: Path) -> None:
    out = tmp_path / "out"
    before = contents(hub2hf.convert(EMBEDDED, out).out)
    with pytest.raises(CheckpointError):
        hub2hf.convert(damaged, out, force=True)
    assert contents(out) == before
    assert os.listdir(tmp_path) == ["out"]


def test_a_stop_between_the_two_renames_brings_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    before = contents(hub2hf.convert(EMBEDDED, out).out)
    rename = Path.rename

    def stopped(self: Path, target: Path) -> Path:
        if target == out and not self.name.endswith("-old"):
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stopped)
    with pytest.raises(KeyboardInterrupt):
        hub2hf.convert(EMBEDDED, out, force=True)
    assert contents(out) == before
    assert os.listdir(tmp_path) == ["out"]


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path, damaged: Path) -> None:
    """What OUT held stands beside it under another name then; the next run brings it back, even if it fails."""
    before = contents(hub2hf.convert(EMBEDDED, tmp_path / ".out.hub2hf-0badcafe-old").out)
    with pytest.raises(CheckpointError):
        hub2hf.convert(damaged, tmp_path / "out", force=True)
    assert contents(tmp_path / "out") == before
    assert os.listdir(tmp_path) == ["out"]


def test_the_work_of_another_living_run_is_left_alone(tmp_path: Path) -> None:
    from hub2hf.folder.staging import staged

    with staged(tmp_path / "out", force=True) as other:
        hub2hf.convert(EMBEDDED, tmp_path / "out")
        assert other.is_dir()


def test_the_source_is_never_replaced(tmp_path: Path) -> None:
    shutil.copytree(EMBEDDED, tmp_path / "model")
    for out in (tmp_path, tmp_path / "model"):
        with pytest.raises(ExportError, match=r"is the (source|working directory) itself, or contains it"):
            hub2hf.convert(tmp_path / "model", out, force=True)
    assert contents(tmp_path / "model") == contents(EMBEDDED)


def test_what_a_killed_export_left_is_replaced_and_what_is_like_it_is_not(tmp_path: Path) -> None:
    out = hub2hf.convert(EMBEDDED, tmp_path / "out").out
    whole = contents(out)
    (out / "onnx").mkdir()
    for name in ("onnx/.model.onnx.0", "onnx/model.onnx_data"):
        (out / name).write_text("of a run that was killed")
    with pytest.raises(ExportError, match="did not write"):  # nothing says that a run of ours was killed
        hub2hf.convert(EMBEDDED, out, force=True)
    (out / ".hub2hf.lock").touch()
    (out / "onnx" / "mine.onnx").write_text("mine")
    with pytest.raises(ExportError, match=r"did not write: onnx/mine\.onnx\."):
        hub2hf.convert(EMBEDDED, out, force=True)
    (out / "onnx" / "mine.onnx").unlink()
    assert contents(hub2hf.convert(EMBEDDED, out, force=True).out) == whole


def test_out_inside_the_preprocessor_is_refused(tmp_path: Path) -> None:
    beside = Path(shutil.copytree(EMBEDDED, tmp_path / "preprocessor"))
    with pytest.raises(ExportError, match="is inside"):
        hub2hf.convert(EMBEDDED, beside / "out", preprocessor=beside)
    assert contents(beside) == contents(EMBEDDED)


@pytest.fixture
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model with one bit of the last weight flipped."""
    folder = tmp_path_factory.mktemp("damaged") / "model"
    shutil.copytree(EMBEDDED, folder)
    shard = next((folder / "variables").glob("*.data-*"))
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    return folder


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of a file stands for the disk: writing fails half-way through the weights."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    uncompiled = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}  # cut byte code would stay
    result = run("convert", EMBEDDED, tmp_path / "out", preexec_fn=limit, env=uncompiled)
    assert result.returncode == 2
    assert "cannot be written" in result.stderr
    assert "Traceback" not in result.stderr
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("convert", EMBEDDED, tmp_path / "file" / "out")
    assert (result.returncode, "Traceback" in result.stderr) == (2, False)
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_leaves_nothing(tmp_path: Path, number: int) -> None:
    process = subprocess.Popen([sys.executable, "-m", "hub2hf", "convert", str(EMBEDDED), str(tmp_path / "out")])
    while not any(tmp_path.iterdir()) and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(number)
    code = process.wait()
    assert code == 128 + number or (code == 0 and (tmp_path / "out").is_dir())
    assert [name for name in os.listdir(tmp_path) if name != "out"] == []


def test_a_stop_between_making_a_lock_and_holding_it_leaves_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire, stops = filelock.FileLock.acquire, [Stopped(signal.SIGTERM)]

    def stopped(lock: filelock.FileLock, **options: float) -> object:
        Path(lock.lock_file).touch()
        if stops:
            raise stops.pop()
        return acquire(lock, **options)

    monkeypatch.setattr(filelock.FileLock, "acquire", stopped)
    with pytest.raises(Stopped):
        hub2hf.convert(EMBEDDED, tmp_path / "out")
    assert (stops, os.listdir(tmp_path)) == ([], [])


def test_a_kill_leaves_the_folder_absent_or_complete(tmp_path: Path) -> None:
    out, rng = tmp_path / "out", random.Random(7)
    complete = contents(hub2hf.convert(EMBEDDED, tmp_path / "complete").out)
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", CONVERT, str(EMBEDDED), str(tmp_path / "timed")], check=True)
    whole = time.monotonic() - start
    for _ in range(5):  # make kill does 200 of these, and tests/test_kills.py some that find an older folder
        process = subprocess.Popen([sys.executable, "-c", CONVERT, str(EMBEDDED), str(out), "--force"])
        time.sleep(rng.uniform(0.5, 1.1) * whole)
        process.kill()
        process.wait()
        assert not out.exists() or contents(out) == complete
    hub2hf.convert(EMBEDDED, out, force=True)
    assert sorted(os.listdir(tmp_path)) == ["complete", "out", "timed"], "the next run removes what a killed one left"
