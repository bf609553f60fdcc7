"""Play a stranger's first hour: clone, README's blocks, what goes wrong, the report in a browser; keep the transcript.

The clone is of this repository's last commit. Where README names what needs the network or a person, this stands for it:
`lealla-mini` for `LEALLA-large`, a dry run for the push. By default all is installed as README says, which takes minutes;
`--installed` runs the clone with the packages that are here.

Run: python scripts/first_hour.py [--installed] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
STANDS_FOR = {"LEALLA-large": "lealla-mini", "OWNER/": "me/"}
NOT_PLAYED = ("hf auth login",)  # what asks a person
# Each is wrong: one sentence on standard error, exit code 2, and nothing is changed.
WRONG = """
hub2hf convert lealla-larg out2
hub2hf convert nothing-here out2
hub2hf convert hub2hf/README.md out2
hub2hf convert out out2
hub2hf convert out/vocab.txt out2
hub2hf convert lealla-mini precious
hub2hf convert lealla-mini precious --force
hub2hf convert damaged out2
hub2hf convert lealla-mini out2 --vocab absent.txt
hub2hf convert lealla-mini out2 --output nonsense
hub2hf convert lealla-mini out2 --model nonsense
hub2hf convert lealla-mini out2 --push me/model
hub2hf verify lealla-mini
hub2hf verify lealla-mini absent
hub2hf verify lealla-mini out --languages de,xx
hub2hf verify lealla-mini out --surfaces nonsense
hub2hf verify lealla-mini out --tolerances absent.toml
hub2hf verify lealla-mini out --sentences blank.txt
hub2hf verify --golden hub2hf/README.md out
hub2hf verify --integrity precious
hub2hf export out nonsense
hub2hf export out web site
hub2hf card precious
hub2hf push out not-a-name --dry-run
hub2hf push precious me/model
hub2hf fetch LEALLA-large
""".strip().splitlines()


class Hour:
    """Runs commands as a person types them, and writes down what they see.

    Args:
        place: the folder to work in; emptied.
        environment: of the commands.
    """

    def __init__(self, place: Path, environment: dict[str, str]) -> None:
        self.place, self.environment = place, environment
        self.transcript = place / "transcript.txt"
        self.wrong: list[str] = []

    def say(self, line: str) -> None:
        """Write a line down, and print it."""
        print(line, flush=True)
        with self.transcript.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def type(self, command: str, *, code: int = 0, lines: int | None = None) -> None:
        """Run a command in bash.

        Args:
            command: what is typed.
            code: with which it must end.
            lines: how many it must write on standard error; None is any number.
        """
        self.say(f"\n$ {command}")
        begin = time.monotonic()
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", command],
            cwd=self.place,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for said in (done.stdout, done.stderr):
            if said:
                self.say(said.rstrip("\n"))
        self.say(f"[exit code {done.returncode}, {time.monotonic() - begin:.1f} s]")
        told = [line for line in done.stderr.splitlines() if not line.endswith((" …", " a second"))]  # how far it is
        if done.returncode != code or (lines is not None and len(told) != lines):
            self.wrong.append(command)
            self.say(f"[UNEXPECTED: exit code {code}{'' if lines is None else f' and {lines} line'} was expected]")


def blocks(title: str) -> list[str]:
    """Return the shell blocks of a section of README, with what stands for what cannot be played."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", text.partition(f"\n## {title}\n")[2], flags=re.MULTILINE)[0]
    found = re.findall(r"^```sh\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    for name, other in STANDS_FOR.items():
        found = [block.replace(name, other) for block in found]
    return found


def commands(block: str) -> list[str]:
    """Return the commands of a block; one with an open quote goes on in the next line."""
    found: list[str] = []
    for line in block.splitlines():
        if found and found[-1].count('"') % 2:
            found[-1] += f"\n{line}"
        elif line.strip():
            found.append(line)
    return [line for line in found if not line.startswith(NOT_PLAYED)]


def play(hour: Hour, *, installed: bool) -> None:
    """Play the hour."""
    active = ". hub2hf/.venv/bin/activate && " if not installed else ""
    inside = "cd hub2hf && " + (active.replace("hub2hf/", ""))
    hour.say("# From TensorFlow Hub to the Hub, as README says")
    hour.type(f"git clone {shlex.quote(str(ROOT))} hub2hf")
    if installed:
        (hour.place / "hub2hf" / "hub2hf").symlink_to("convert")
    (block,) = blocks("From TensorFlow Hub to the Hugging Face Hub")
    for line in commands(block):
        if installed and ("-m venv" in line or line.startswith("pip ")):
            continue
        if "hub2hf push" in line:
            line = re.sub(r"(\S+/\S+)( *#|$)", r"\1 --dry-run\2", line)  # noqa: PLW2901
        hour.type(f"cd hub2hf && {line}" if "-m venv" in line else f"{inside}{line}")
    hour.say("\n# The two commands")
    hour.type("cd hub2hf && python scripts/demo.py" if installed else "cd hub2hf && make demo")
    hour.say("\n# A look at it, and a report")
    for line in ("hub2hf --help", "hub2hf list", "hub2hf inspect lealla-mini"):
        hour.type(active + line)
    hour.type(active + "mv hub2hf/out out && hub2hf verify --integrity out")
    hour.type(active + "hub2hf verify lealla-mini out --languages de,ja --report report")
    hour.say("\n# What goes wrong")
    hour.type("mkdir precious && echo years > precious/thesis.txt && printf ' \\n\\t\\n' > blank.txt")
    hour.type(
        "cp -r hub2hf/convert/models/lealla-mini damaged && "
        "printf x | dd of=damaged/variables/variables.data-00000-of-00001 bs=1 seek=5000 conv=notrunc status=none"
    )
    for line in WRONG:
        hour.type(active + line, code=2, lines=1)
    hour.type("cat precious/thesis.txt && ls")
    hour.say("\n# The report in Chromium: wide, narrow, dark")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "chromium")
    views = {"wide": "--window-size=1400,1000", "narrow": "--window-size=420,1000", "dark": "--window-size=1400,1000"}
    for name, option in views.items():
        dark = "--blink-settings=preferredColorScheme=0 " if name == "dark" else ""
        hour.type(
            f"{browser} --headless --no-sandbox --disable-gpu --hide-scrollbars {dark}{option} "
            f"--screenshot=report-{name}.png file://$PWD/report/report.html 2> /dev/null; ls -s report-{name}.png"
        )


def main() -> int:
    """Play it; return 0 if everything ended as it must."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--installed", action="store_true", help="with the packages that are here")
    parser.add_argument("--out", type=Path, default=ROOT / ".cache" / "first-hour")
    options = parser.parse_args()
    place = options.out.absolute()
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    environment = dict(os.environ, HUB2HF_OFFLINE="1", HF_HUB_OFFLINE="1", GIT_PROGRESS_DELAY="1000")
    if options.installed:
        environment["PYTHONPATH"] = str(place / "hub2hf")  # the clone, found before what is installed
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    hour = Hour(place, environment)
    play(hour, installed=options.installed)
    hour.say(f"\n{len(hour.wrong)} of the commands ended otherwise than they must: {hour.transcript}")
    return 1 if hour.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
