"""A sample of `make kill`: faults at random moments of a conversion, after which nothing is lost."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import kill_tests
import pytest
from references import EMBEDDED

import hub2hf
from hub2hf.errors import SourceError
from hub2hf.savedmodel.model import SavedModel


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> kill_tests.Trial:
    return kill_tests.Trial(tmp_path_factory.mktemp("kills"), random.Random(3))


@pytest.mark.parametrize("fault", ["kill", "full_disk", "full_file_system", "read_only", "changing", "together"])
def test_nothing_is_lost(trial: kill_tests.Trial, fault: str) -> None:
    for _ in range(4 if fault == "kill" else 1):
        try:
            getattr(trial, fault)()
        except kill_tests.Unable:
            pytest.skip("this user may not mount a file system")


@pytest.mark.parametrize("name", ["saved_model.pb", "assets/vocab.txt", "variables/variables.data-00000-of-00001"])
def test_a_file_that_changed_since_it_was_opened(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes, but written anew between opening and the end: who wrote them may not have been done."""
    folder = Path(shutil.copytree(EMBEDDED, tmp_path / "model"))
    opened = SavedModel.open

    def changed(place: Path) -> SavedModel:
        model = opened(place)
        data = (folder / name).read_bytes()
        (folder / name).unlink()
        (tmp_path / "taken").write_bytes(b"the inode")
        (folder / name).write_bytes(data)
        return model

    monkeypatch.setattr(SavedModel, "open", changed)
    with pytest.raises(SourceError, match=f"{name} was changed while it was read"):
        hub2hf.convert(folder, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "taken"]
