"""The workflows pass two linters, and what the reusable one runs does what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hub_server import HubServer
from ports import best_known

WORKFLOWS = Path(__file__).parents[1] / ".github" / "workflows"
FILES = sorted(WORKFLOWS.glob("*.yml"))
DEPENDABOT = WORKFLOWS.parent / "dependabot.yml"
BIN = Path(sys.executable).parent


def steps(name: str) -> list[dict[str, Any]]:
    """Return every step of the workflow `name`."""
    jobs = yaml.safe_load((WORKFLOWS / name).read_text(encoding="utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job.get("steps", [])]


def lint(*command: str | Path) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_they_are_github_workflows() -> None:
    assert [file.name for file in FILES] == ["ci.yml", "mutants.yml", "real.yml", "release.yml", "verify.yml"]
    lint("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *FILES)
    lint("check-jsonschema", "--builtin-schema", "vendor.dependabot", DEPENDABOT)


def test_they_are_safe() -> None:
    """Least privilege, pinned actions, no input written into a shell script."""
    lint("zizmor", "--offline", "--no-progress", "--strict-collection", "--persona", "pedantic", *FILES, DEPENDABOT)


@pytest.mark.parametrize(
    "fault", ["permissions: write-all\n", "runs_on: ubuntu-latest\n", "run: echo ${{ inputs.source }}"]
)
def test_the_linters_see_faults(fault: str, tmp_path: Path) -> None:
    text = (WORKFLOWS / "verify.yml").read_text(encoding="utf-8")
    old = {
        "permi": "permissions: {}\n",
        "runs_": "runs-on: ubuntu-latest\n",
        "run: ": "run: |\n          options=()",
    }
    assert old[fault[:5]] in text
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "verify.yml").write_text(text.replace(old[fault[:5]], fault), encoding="utf-8")
    with pytest.raises(AssertionError):
        lint("check-jsonschema", "--builtin-schema", "vendor.github-workflows", folder / "verify.yml")
        lint("zizmor", "--offline", "--no-progress", "--persona", "pedantic", folder / "verify.yml")


def test_our_own_calls_pass_inputs_that_exist() -> None:
    called = yaml.safe_load((WORKFLOWS / "verify.yml").read_text(encoding="utf-8"))
    inputs = called[True]["workflow_call"]["inputs"]  # YAML 1.1 reads the key "on" as true
    jobs = yaml.safe_load((WORKFLOWS / "ci.yml").read_text(encoding="utf-8"))["jobs"].values()
    calls = [job["with"] for job in jobs if job.get("uses") == "./.github/workflows/verify.yml"]
    assert [call["source"] for call in calls] == ["lealla-mini", "lealla-small-size"]
    assert len({call["report"] for call in calls}) == len(calls), "two artifacts of one name"
    needed = {name for name, about in inputs.items() if about.get("required")}
    assert all(needed <= set(call) <= set(inputs) for call in calls)


def test_every_input_is_used() -> None:
    text = (WORKFLOWS / "verify.yml").read_text(encoding="utf-8")
    inputs = yaml.safe_load(text)[True]["workflow_call"]["inputs"]
    assert [name for name in inputs if f"inputs.{name} " not in text] == []


def test_what_was_fetched_is_kept_and_what_was_converted_is_uploaded() -> None:
    called = yaml.safe_load((WORKFLOWS / "verify.yml").read_text(encoding="utf-8"))
    job = called["jobs"]["verify"]
    used = {
        (step["uses"].partition("@")[0], step["with"].get("path", ""))
        for step in steps("verify.yml")
        if "uses" in step and "with" in step
    }
    assert ("actions/cache", ".fetched") in used
    for cache in ("TFHUB_CACHE_DIR", "KAGGLEHUB_CACHE", "HUB2HF_CACHE"):
        assert job["env"][cache].startswith("${{ github.workspace }}/.fetched/")
    for folder in ("report", "converted"):
        assert ("actions/upload-artifact", f"${{{{ runner.temp }}}}/{folder}") in used
    assert {"verdict", "worst"} <= job["outputs"].keys() == called[True]["workflow_call"]["outputs"].keys()


def run_script(script: str, folder: Path, environment: Mapping[str, str]) -> int:
    """Run the script of a step in `folder` as GitHub does, and return its exit code."""
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    path = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, env={**environment, **path}, cwd=folder, capture_output=True, check=False).returncode


def run_steps(tmp_path: Path, around: Mapping[str, str] = os.environ, **given: str) -> tuple[int, str]:
    """Run the scripts of the steps from Convert to Summary; return Verify's exit code and the summary.

    The outputs are in the file `output` of `tmp_path`.
    """
    summary = tmp_path / "summary.md"
    environment = {
        **around,
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }
    codes = {}
    for step in steps("verify.yml"):
        if step.get("name") in {"Convert", "Verify", "Outcome", "Summary"}:
            values = {name: given.get(name, "") for name in step.get("env", {})}
            codes[step["name"]] = run_script(step["run"], tmp_path, environment | values)
    assert codes["Convert"] == codes["Outcome"] == codes["Summary"] == 0
    return codes["Verify"], summary.read_text(encoding="utf-8") if summary.is_file() else ""


def test_the_reusable_workflow_installs_what_it_is_told(tmp_path: Path) -> None:
    """Nothing is installed here; without a package of that name, it fails."""
    (script,) = [step["run"] for step in steps("verify.yml") if step.get("name") == "Install"]
    tried = dict.fromkeys(("PIP_DRY_RUN", "PIP_NO_DEPS", "PIP_NO_INDEX", "PIP_DISABLE_PIP_VERSION_CHECK"), "1")
    around = (
        os.environ | tried | {"PIP_NO_BUILD_ISOLATION": "0", "PIP_CONSTRAINT": ""}
    )  # "0" is what pip takes for "no isolation"
    checkout = f"{WORKFLOWS.parents[1]}[all]"
    assert run_script(script, tmp_path, around | {"INSTALL": checkout}) == 0
    assert run_script(script, tmp_path, around | {"INSTALL": "hub2hf-absent"}) != 0


def test_the_reusable_workflow_verifies_a_port_on_the_hub(converted: Path, tmp_path: Path) -> None:
    """A port as the best-known one is different; as it has no proof of its own, one exact way is enough."""
    port = best_known(converted, tmp_path / "port")
    given = {"SOURCE": "lealla-mini", "CANDIDATE": "tester/model", "LANGUAGES": "de", "SURFACES": "bert"}
    with HubServer() as hub:
        around = hub.environment(tmp_path / "cache")
        upload = "import sys; from huggingface_hub import HfApi; api = HfApi(); api.create_repo('tester/model'); "
        upload += "api.upload_folder(repo_id='tester/model', folder_path=sys.argv[1])"
        subprocess.run([sys.executable, "-c", upload, port], env=around, capture_output=True, check=True)
        code, summary = run_steps(tmp_path, around, **given)
    assert (code, "NOT THE SAME" in summary) == (1, True)
    assert (tmp_path / "output").read_text(encoding="utf-8").startswith("verdict=different\n")
    assert not (tmp_path / "converted").exists()


def test_the_reusable_workflow_verifies_and_tells_the_summary(tmp_path: Path) -> None:
    (tmp_path / "tight.toml").write_text(
        '[surface.automodel]\ntolerance = 1e-12\nmeasured = 1e-12\nreason = "a test"\n', encoding="utf-8"
    )
    code, summary = run_steps(
        tmp_path, SOURCE="lealla-mini", LANGUAGES="de", SURFACES="automodel", TOLERANCES="tight.toml"
    )
    assert code == 1
    assert "NOT THE SAME" in summary
    assert "AutoModel" in summary
    verdict, told, worst = (tmp_path / "output").read_text(encoding="utf-8").splitlines()
    assert (verdict, told[:22]) == ("verdict=different", "summary=NOT THE SAME: ")
    assert 0 < float(worst.removeprefix("worst=")) < 2e-6


def test_the_reusable_workflow_verifies_a_port_of_a_source_that_takes_ids(
    pair: Callable[[str], Any], tmp_path: Path
) -> None:
    """Nothing is converted then; the preprocessor is handed on to both steps."""
    cased = pair("cased")
    given = {"SOURCE": str(cased.encoder), "PREPROCESSOR": str(cased.preprocessor), "LANGUAGES": "de"}
    given["SURFACES"] = "automodel"
    assert run_steps(tmp_path, **given)[0] == 0
    assert (tmp_path / "output").read_text(encoding="utf-8").startswith("verdict=equivalent\nsummary=EXACT: ")
    (tmp_path / "converted").rename(tmp_path / "port")
    assert run_steps(tmp_path, **given, CANDIDATE="port")[0] == 0
    assert not (tmp_path / "converted").exists()


def test_the_real_modules_are_run_as_the_workflow_says(tmp_path: Path) -> None:
    script, summary = (
        next(s["run"] for s in steps("real.yml") if s.get("name") == name) for name in ("Run", "Summary")
    )
    environment = os.environ | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "HUB2HF_OFFLINE": "1",
        "LANGUAGES": "de",
        "ORACLE": "",
    }
    codes = []
    for models in ("lealla-mini", "no-such-model"):
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        done = subprocess.run(
            command, env=environment | {"MODELS": models}, cwd=WORKFLOWS.parents[1], capture_output=True, check=False
        )
        codes.append(done.returncode)
    assert codes == [0, 2]
    subprocess.run(["bash", "-eo", "pipefail", "-c", summary], env=environment, check=True)
    assert "UNANSWERED: 0 of 1 models are exact" in (tmp_path / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("tag", "publish", "code"),
    [("", "false", 0), ("", "true", 0), ("v1.2.0", "true", 0), ("v1.3.0", "true", 1), ("", "untold", 1)],
)
def test_only_a_version_that_the_changelog_tells_is_published(
    tag: str, publish: str, code: int, tmp_path: Path
) -> None:
    """A click publishes as a tag does; `make distribution` is not run here."""
    (tmp_path / ".cache" / "distribution").mkdir(parents=True)
    version = "1.2.0" if publish != "untold" else "1.2.1"
    (tmp_path / ".cache" / "distribution" / f"hub2hf-{version}.tar.gz").touch()
    (tmp_path / "CHANGELOG.md").write_text("## [1.2.0] - 2026-01-01\n", encoding="utf-8")
    (script,) = [step["run"] for step in steps("release.yml") if step.get("name") == "Build and check"]
    environment = os.environ | {"TAG": tag, "PUBLISH": "true" if publish == "untold" else publish}
    command = ["bash", "-eo", "pipefail", "-c", script.replace("make distribution", ":")]
    assert subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True).returncode == code
    jobs = yaml.safe_load((WORKFLOWS / "release.yml").read_text(encoding="utf-8"))["jobs"]
    assert jobs["publish"]["if"] == "github.event_name == 'push' || inputs.publish"


def test_an_input_is_never_run(tmp_path: Path) -> None:
    code, summary = run_steps(tmp_path, SOURCE="lealla-mini", LANGUAGES='de"; touch caught; "$(touch caught)')
    assert (code, summary) == (2, "")
    assert (tmp_path / "output").read_text(encoding="utf-8") == "verdict=unanswered\n"
    assert not (tmp_path / "caught").exists()
