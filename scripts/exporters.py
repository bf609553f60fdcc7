"""Let exporters that nobody here wrote make encoders, convert and verify these, and tell it in configs/models/README.md.

Run by `make exporters`, with the Python of an environment that has transformers 4 and tf-keras:
    python scripts/exporters.py PYTHON WORK
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import hub2hf
from hub2hf.errors import Hub2HFError

ROOT = Path(__file__).resolve().parents[1]
VOCABULARY = ROOT / "convert" / "models" / "lealla-mini" / "assets" / "vocab.txt"
TABLE = ROOT / "configs" / "models" / "README.md"
BEGIN, END = "<!-- made by make exporters -->", "<!-- end -->"
WAYS = ("automodel", "sentence-transformers")
# Family → options of scripts/export_transformers.py.
KINDS: dict[str, tuple[str, ...]] = {
    "BERT": ("--model", "bert"),
    "ELECTRA": ("--model", "electra", "--pooling", "mean"),
    "ALBERT": ("--model", "albert"),
    "DistilBERT": ("--model", "distilbert", "--pooling", "mean"),
    "MobileBERT": ("--model", "mobilebert"),
    "T5, 2019": ("--model", "t5", "--pooling", "mean", "--dense"),
    "T5, gated": ("--model", "t5", "--pooling", "mean", "--dense", "--projection", "gated-gelu"),
}


def verdict(model: Path, out: Path) -> str:
    """Return what comes of an exported encoder, in words."""
    try:
        hub2hf.convert(model, out, vocab=VOCABULARY)
        report = hub2hf.verify(model, out, vocab=VOCABULARY, surfaces=WAYS)
    except Hub2HFError as error:
        return f"refused: {error.problem.split(': it has ')[0].split('. ')[0].rstrip('.')}"
    worst = max(row.difference for row in report.rows)
    return f"{'exact' if report.equivalent else 'NOT THE SAME'}, worst {worst:.1e}"


def rows(python: str, work: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield family, exporter, version and verdict of each."""
    asked = [python, "-c", "import importlib.metadata as m; print(m.version('transformers'))"]
    version = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    for number, (family, options) in enumerate(KINDS.items()):
        model = work / f"model-{number}"
        script = str(ROOT / "scripts" / "export_transformers.py")
        command = [python, script, str(model), "--vocabulary", str(VOCABULARY), *options]
        subprocess.run(command, check=True, capture_output=True)
        yield family, "transformers, TensorFlow classes", version, verdict(model, work / f"out-{number}")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python")
    parser.add_argument("work", type=Path)
    o = parser.parse_args()
    shutil.rmtree(o.work, ignore_errors=True)
    o.work.mkdir(parents=True)
    lines = ["| family | exporter | version | verdict |", "|---|---|---|---|"]
    for row in rows(o.python, o.work):
        lines.append(f"| {' | '.join(row)} |")
        print(lines[-1], flush=True)
    text = TABLE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    TABLE.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
