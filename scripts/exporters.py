"""Let exporters that nobody here wrote make encoders, convert and verify these, and tell it in configs/models/README.md.

Run by `make exporters`, once for each, with the Python of an environment that has it:
    python scripts/exporters.py EXPORTER PYTHON WORK [--families FAMILY …]
Rows of the table that are not made stay as they are.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import hub2hf
from hub2hf.errors import Hub2HFError

ROOT = Path(__file__).resolve().parents[1]
VOCABULARY = ROOT / "convert" / "models" / "lealla-mini" / "assets" / "vocab.txt"
TABLE = ROOT / "configs" / "models" / "README.md"
BEGIN, END = "<!-- made by make exporters -->", "<!-- end -->"
HEAD = ["| family | exporter | version | verdict |", "|---|---|---|---|"]
WAYS = ("automodel", "sentence-transformers")
FAILS = "the exporter fails by itself"
# In options: SentencePiece models as ALBERT's, XLM-R's and DeBERTa's, and a vocabulary of lower case, made here.
PIECES, XLM_PIECES, DEBERTA_PIECES, UNCASED = "PIECES", "XLM_PIECES", "DEBERTA_PIECES", "UNCASED"


@dataclass(frozen=True)
class Exporter:
    """Code that exports encoders.

    Attributes:
        title: in the table.
        package: whose version the table tells.
        script: what runs it.
        kinds: family → options of the script.
        needs_vocabulary: whether it makes encoders of ids that bring no vocabulary.
    """

    title: str
    package: str
    script: str
    kinds: Mapping[str, tuple[str, ...]]
    needs_vocabulary: bool = False


EXPORTERS = {
    "transformers": Exporter(
        "transformers, TensorFlow classes",
        "transformers",
        "export_transformers.py",
        {
            "BERT": ("--model", "bert"),
            "ELECTRA": ("--model", "electra", "--pooling", "mean"),
            "ALBERT": ("--model", "albert"),
            "DistilBERT": ("--model", "distilbert", "--pooling", "mean"),
            "MobileBERT": ("--model", "mobilebert"),
            "T5, 2019": ("--model", "t5", "--pooling", "mean", "--dense"),
            "T5, gated": ("--model", "t5", "--pooling", "mean", "--dense", "--projection", "gated-gelu"),
        },
        needs_vocabulary=True,
    ),
    "keras-hub": Exporter(
        "keras-hub, from text",
        "keras-hub",
        "export_keras_hub.py",
        {
            "BERT": ("--model", "bert"),
            "BERT, lower case": ("--model", "bert", "--lower", "--vocabulary", UNCASED),
            "ELECTRA": ("--model", "electra", "--pooling", "mean"),
            "ALBERT": ("--model", "albert", "--vocabulary", PIECES),
            "DistilBERT": ("--model", "distilbert", "--pooling", "mean"),
            "RoBERTa": ("--model", "roberta"),
            "XLM-RoBERTa": ("--model", "xlm-roberta", "--vocabulary", XLM_PIECES),
            "DeBERTa": ("--model", "deberta", "--vocabulary", DEBERTA_PIECES),
            "FNet": ("--model", "fnet", "--vocabulary", PIECES),
        },
    ),
    "garden": Exporter(
        "TensorFlow Model Garden",
        "tf-models-official",
        "export_garden.py",
        {
            "BERT": ("--encoder", "v2"),
            "BERT, states of the first token alone": ("--encoder", "v2", "--output-range", "1"),
            "BERT, LayerNorm before each part": ("--encoder", "v2", "--norm-first"),
            "ELECTRA": ("--encoder", "electra"),
            "ALBERT": ("--encoder", "albert"),
            "MobileBERT": ("--encoder", "mobilebert"),
        },
    ),
    "garden-2020": Exporter(
        "TensorFlow Model Garden",
        "tf-models-official",
        "export_garden_2020.py",
        {"BERT": ("--encoder", "bert"), "ALBERT": ("--encoder", "albert", "--vocabulary", PIECES)},
    ),
    "bert": Exporter(
        "google-research, TensorFlow 1",
        "bert-tensorflow",
        "export_tf1.py",
        {"BERT": ("--model", "bert")},
    ),
    "bert-again": Exporter(
        "google-research, TensorFlow 1",
        "bert-tensorflow",
        "export_tf1.py",
        {"BERT, loaded and saved again": ("--model", "bert", "--again")},
        needs_vocabulary=True,
    ),
    "albert": Exporter(
        "google-research, TensorFlow 1",
        "albert-tensorflow",
        "export_tf1.py",
        {"ALBERT": ("--model", "albert", "--vocabulary", PIECES)},
    ),
}


def verdict(model: Path, out: Path, vocabulary: Path | None) -> str:
    """Return what comes of an exported encoder, or of one with its preprocessor beside it, in words."""
    encoder, text = model / "encoder", model / "preprocessor"
    try:
        source = hub2hf.Source.find(
            encoder if encoder.is_dir() else model,
            preprocessor=text if text.is_dir() else None,
            vocab=vocabulary,
        )
        hub2hf.convert(source, out)
        report = hub2hf.verify(source, out, surfaces=WAYS)
    except Hub2HFError as error:
        problem = (error.problem.partition(": it has ")[2] or error.problem).replace(str(model), model.name)
        return f"refused: {problem.split(' (node ')[0].split('. ')[0].rstrip('.')}"
    worst = max(row.difference for row in report.rows)
    return f"{'exact' if report.equivalent else 'NOT THE SAME'}, worst {worst:.1e}"


def rows(exporter: Exporter, python: str, work: Path, families: Sequence[str]) -> Iterator[str]:
    """Yield a line of the table for each family, all of them where none is named."""
    asked = [python, "-m", "pip", "show", exporter.package]  # Python 3.7 has no importlib.metadata
    shown = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    version = next(line for line in shown.splitlines() if line.startswith("Version: ")).split()[1]
    for number, (family, options) in enumerate(exporter.kinds.items()):
        if families and family not in families:
            continue
        model, out = work / f"model-{number}", work / f"out-{number}"
        given = [MADE[option](work) if option in MADE else option for option in options]
        script = str(ROOT / "scripts" / exporter.script)
        command = [python, script, str(model), "--vocabulary", str(VOCABULARY), *given]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if (model / "encoder").is_dir() and PIECES in options:  # no such exporter makes a preprocessor
            _pieces_side(model / "preprocessor", Path(given[options.index(PIECES)]))
        vocabulary = VOCABULARY if exporter.needs_vocabulary else None
        told = verdict(model, out, vocabulary) if done.returncode == 0 else FAILS
        if told == FAILS:
            print(done.stderr.strip().rpartition("\n")[2], file=sys.stderr)
        yield f"| {family} | {exporter.title} | {version} | {told} |"


def _pieces(kind: str, work: Path) -> str:
    """Return the path of a SentencePiece model of a kind."""
    from builders import pieces

    path = work / f"{kind}.model"
    path.write_bytes(pieces.trained(pieces.Options(kind=kind)))
    return str(path)


def _pieces_side(folder: Path, model: Path) -> None:
    """Write a preprocessor as Model Garden's of ALBERT, which cuts texts by a SentencePiece model, into a folder."""
    from builders import pieces

    pieces.build_text_side(folder, pieces.Options(kind="albert"), model.read_bytes())


def _uncased(work: Path) -> str:
    """Return the path of a vocabulary as that of BERT, uncased: of lower case, and of no character that came later."""
    path, known = work / "uncased.txt", unicodedata.ucd_3_2_0
    lines = VOCABULARY.read_text(encoding="utf-8").splitlines()
    special = [line for line in lines if line.startswith("[")]
    kept = (line.lower() for line in lines if all(known.category(c) != "Cn" for c in line))
    pieces = dict.fromkeys([*special, *(line for line in kept if not line.startswith("["))])
    path.write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    return str(path)


MADE: Mapping[str, Callable[[Path], str]] = {
    PIECES: partial(_pieces, "albert"),
    XLM_PIECES: partial(_pieces, "xlm"),
    DEBERTA_PIECES: partial(_pieces, "deberta"),
    UNCASED: _uncased,
}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exporter", choices=EXPORTERS)
    parser.add_argument("python")
    parser.add_argument("work", type=Path)
    parser.add_argument("--families", nargs="*", default=[])
    o = parser.parse_args()
    shutil.rmtree(o.work, ignore_errors=True)
    o.work.mkdir(parents=True)
    failed = []
    for line in rows(EXPORTERS[o.exporter], o.python, o.work, o.families):
        print(line, flush=True)
        failed += [line] if line.endswith(f"| {FAILS} |") else []
        if line not in failed:
            put(line)
    if len(failed) == len(EXPORTERS[o.exporter].kinds):
        sys.exit(f"{EXPORTERS[o.exporter].title} exports nothing: {o.python} lacks something. The table is as it was.")
    for line in failed:
        put(line)


def put(line: str) -> None:
    """Put a line into the table, in place of the one of the same family, exporter and version."""
    text = TABLE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    table, _, after = rest.partition(END)
    lines = table.strip().splitlines()
    known = {row.rpartition(" | ")[0]: row for row in lines[len(HEAD) :]}
    known[line.rpartition(" | ")[0]] = line
    made = "\n".join([*HEAD, *sorted(known.values(), key=lambda row: row.split(" | ")[1:3])])  # by exporter and version
    TABLE.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
