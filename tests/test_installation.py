"""The core install, from the built package, in a virtual environment with neither TensorFlow nor PyTorch."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from references import ROOT


def installed(requirements: Iterable[str], found: dict[str, metadata.Distribution]) -> None:
    """Add to `found` what is installed here of these requirements and of theirs in turn, without extras."""
    for requirement in map(Requirement, requirements):
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        distribution = found[name] = metadata.distribution(name)
        assert requirement.specifier.contains(distribution.version, prereleases=True)
        installed(distribution.requires or (), found)


def link(distribution: metadata.Distribution, packages: Path) -> None:
    """Link the files of a distribution into the packages of another environment: nothing is fetched or unpacked."""
    for file in distribution.files or ():
        if ".." not in file.parts and "__pycache__" not in file.parts:
            (packages / file).parent.mkdir(parents=True, exist_ok=True)
            (packages / file).symlink_to(str(distribution.locate_file(file)))


def core_install(place: Path) -> tuple[Path, set[str]]:
    """Return a virtual environment with the package, built here, and what it requires; and the names of all of that."""
    venv.create(place / "venv", symlinks=True, with_pip=False)
    python = place / "venv" / "bin" / "python"
    # What an earlier build left in the checkout would be packed as well, and hide that a file is missing.
    left_out = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__")
    source = shutil.copytree(ROOT, place / "source", ignore=left_out)
    pip, offline = [sys.executable, "-m", "pip", "--disable-pip-version-check"], ["--quiet", "--no-deps", "--no-index"]
    built = place / "built"
    subprocess.run([*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", built, source], check=True)
    subprocess.run([*pip, "--python", python, "install", *offline, *built.iterdir()], check=True)
    (packages,) = (place / "venv" / "lib").glob("python*/site-packages")
    (own,) = metadata.distributions(name="hub2hf", path=[str(packages)])
    found: dict[str, metadata.Distribution] = {}
    installed(own.requires or (), found)
    for distribution in found.values():
        link(distribution, packages)
    return place / "venv" / "bin", set(found)


def test_the_core_install_converts(tmp_path: Path) -> None:
    bin_folder, names = core_install(tmp_path)
    assert names.isdisjoint({"tensorflow", "torch", "transformers", "keras"})
    command = [bin_folder / "hub2hf", "convert", "lealla-mini", tmp_path / "out", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert len(json.loads(done.stdout)["files"]) == len([p for p in (tmp_path / "out").rglob("*") if p.is_file()]) - 1
    for arguments in (["onnx"], ["web", "web"]):
        subprocess.run([bin_folder / "hub2hf", "export", "out", *arguments], check=True, cwd=tmp_path)
    assert (tmp_path / "web" / "index.html").is_file()
    for arguments in (["verify", "lealla-mini", "out"], ["record", "lealla-mini", "recording"]):
        command = [bin_folder / "hub2hf", *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert re.search(r"pip install 'hub2hf\[\w+\] @ file://\S+/built/hub2hf-\S+\.whl'$", done.stderr), done.stderr
    code = "from hub2hf.equivalence.sentences import demo_sentences; print(len(demo_sentences()))"
    done = subprocess.run([bin_folder / "python", "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert int(done.stdout) >= 17
