"""Write the TOML of every encoder of a list of handles, and the census of all text modules; or check them.

Facts are taken from tfhub.dev's documentation (address, licence, languages, sizes), and no text. A module whose card needs
facts of its own has a TOML; that all others exist, and what becomes of them, is a line of configs/census.tsv each. The
documentation is github.com/tensorflow/tfhub.dev, brought to this machine beforehand:

    python scripts/build_known_models.py CHECKOUT [--check]
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "configs" / "models"
DOCUMENTS = "assets/docs"
SENTENCES = ROOT / "configs" / "sentences.tsv"
MADE = (
    "# Made by scripts/build_known_models.py from what tfhub.dev documents; its vocabulary is not known, so name it.\n"
)
CODES = {"zh-cn": "zh", "zh-tw": "zh"}  # as the documentation has them → as sentences.tsv has them
FIELD = re.compile(r"^<!-- (?P<name>[a-z-]+): (?P<value>.+?) -->$", re.MULTILINE)
# Of MobileBERT H is the width within a layer, and B, which is the hidden size, that between layers.
SIZES = {"layers": r"_L-(\d+)", "hidden_size": r"_(?:H-\d+_B|H)-(\d+)", "heads": r"_A-(\d+)"}
CENSUS = ROOT / "configs" / "census.tsv"
HEADER = (
    "# The text embedding modules that tfhub.dev documents; made by scripts/build_known_models.py, not by hand.\n"
    "# handle, family (of families.toml), layers, hidden size, heads (0: not said), preprocessor that its page names\n"
)
EMBEDDING = "text-embedding"  # the task of what the census holds, or its type in the pages of 2018
PREPROCESSOR = re.compile(r"tfhub\.dev/([\w./-]+preprocess[\w-]*/\d+)")
# By what of a handle its family is told, the first that is found.
FAMILY_OF = (
    (r"talkheads", "talking-heads"),
    (r"tn_bert", "tn-bert"),
    (r"mobilebert.*squad", "mobilebert-squad"),
    (r"mobilebert", "mobilebert"),
    (r"albert", "albert"),
    (r"electra", "electra"),
    (r"distil(ko)?bert", "distilbert"),
    (r"klue_roberta", "klue-roberta"),
    (r"xlm_roberta", "xlm-roberta"),
    (r"roberta", "roberta"),
    (r"sentence-t5|gtr", "t5"),
    (r"ulmfit", "ulmfit"),
    (r"encoder-cmlm|bert|BERT|LaBSE|LEALLA|MuRIL", "bert"),
    (r"universal-sentence-encoder-multilingual/", "use-convolutions"),
    (r"universal-sentence-encoder(-lite/1|/)", "use-averages"),
    (r"universal-sentence-encoder", "use-transformer"),
    (r"nnlm", "nnlm"),
    (r"elmo", "elmo"),
    (r"swivel|Wiki-words|word2vec", "words"),
)
UNCASED = "https://tfhub.dev/tensorflow/bert_en_uncased_preprocess/3"


@dataclass(frozen=True)
class Family:
    """What encoders of a family have in common.

    Attributes:
        kind: in a sentence.
        paper: its address.
        handles: OWNER/MODEL/VERSION.
        preprocessor: address of the text side, by the rest of the handle; "" where the encoder has its own.
    """

    kind: str
    paper: str
    handles: tuple[str, ...]
    preprocessor: str = ""


FAMILIES = (
    Family(
        "a DistilBERT encoder",
        "https://arxiv.org/abs/1910.01108",
        tuple(f"jeongukjae/distilbert_{name}_L-6_H-768_A-12/1" for name in ("en_cased", "en_uncased", "multi_cased")),
        "https://tfhub.dev/{stem}_preprocess/2",
    ),
    Family(
        "an ELECTRA encoder",
        "https://arxiv.org/abs/2003.10555",
        tuple(f"google/electra_{size}/2" for size in ("small", "base", "large")),
        UNCASED,
    ),
    Family(
        "an ELECTRA encoder (its inputs are a list)",
        "https://arxiv.org/abs/2003.10555",
        tuple(f"google/electra_{size}/1" for size in ("small", "base", "large")),
    ),
    Family(
        "a sentence encoder of T5's encoder",
        "https://arxiv.org/abs/2108.08877",
        tuple(f"google/sentence-t5/st5-{size}/1" for size in ("base", "large", "3b", "11b")),
    ),
    Family(
        "a retriever of T5's encoder",
        "https://arxiv.org/abs/2112.07899",
        tuple(f"google/gtr/gtr-{size}/1" for size in ("base", "large", "xl", "xxl")),
    ),
)


def document(checkout: Path, handle: str) -> str:
    """Return the documentation of a module."""
    owner, _, rest = handle.partition("/")
    return (checkout / DOCUMENTS / owner / "models" / f"{rest}.md").read_text(encoding="utf-8")


def name_of(handle: str) -> str:
    """Return the name that a model is known by: without version where it is the last."""
    model, version = handle.split("/")[-2:]
    older = any(other.split("/")[-2] == model and other > handle for each in FAMILIES for other in each.handles)
    return f"{model}-{version}".casefold() if older else model.casefold()


def toml_of(family: Family, handle: str, told: str) -> str:
    """Return the TOML of a module, from its documentation."""
    owner, model = handle.split("/", maxsplit=1)[0], handle.split("/")[-2]
    stated: dict[str, list[str]] = {}
    for match in FIELD.finditer(told):
        stated.setdefault(match["name"], []).append(match["value"])
    known = {line.split("\t")[0] for line in SENTENCES.read_text(encoding="utf-8").splitlines() if "\t" in line}
    languages = dict.fromkeys(CODES.get(code, code) for code in stated.get("language", ()))
    sizes = {size: found[1] for size, pattern in SIZES.items() if (found := re.search(pattern, model))}
    stem = f"{owner}/{model.partition('_L-')[0]}"
    values = {"title": model, "address": f"https://tfhub.dev/{handle}"}
    if family.preprocessor:
        values["preprocessor"] = family.preprocessor.format(stem=stem)
    card = {
        "summary": f"{model} is {family.kind} that {owner} published on TensorFlow Hub.",
        "languages": " ".join(code for code in languages if code in known),
        "license": stated.get("license", [""])[0],
        "paper": family.paper,
    }
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in values.items()]
    if sizes:
        lines += ["\n[must_be]\n", *(f"{key} = {value}\n" for key, value in sizes.items())]
    lines += ["\n[card]\n", *(f"{key} = {json.dumps(value)}\n" for key, value in card.items() if value)]
    return MADE + "".join(lines)


def census(checkout: Path) -> str:
    """Return the census of a checkout of the documentation; a module of no known family ends the program."""
    rows = []
    for path in sorted((checkout / DOCUMENTS).glob("*/models/**/*.md")):
        told = path.read_text(encoding="utf-8")
        stated = dict(FIELD.findall(told))
        kind, _, handle = told.partition("\n")[0].removeprefix("# ").partition(" ")
        if kind != "Module" or EMBEDDING not in (stated.get("task"), stated.get("module-type")):
            continue
        family = next((name for pattern, name in FAMILY_OF if re.search(pattern, handle)), None)
        if family is None:
            sys.exit(f"No family of FAMILY_OF is that of {handle}.")
        sizes = [found[1] if (found := re.search(pattern, handle)) else "0" for pattern in SIZES.values()]
        named = set(PREPROCESSOR.findall(told))
        rows.append("\t".join((handle.strip(), family, *sizes, named.pop() if len(named) == 1 else "")))
    return HEADER + "".join(f"{row}\n" for row in sorted(rows))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is another")
    o = parser.parse_args()
    wanted = {CENSUS: census(o.checkout)}
    for family in FAMILIES:
        for handle in family.handles:
            wanted[MODELS / f"{name_of(handle)}.toml"] = toml_of(family, handle, document(o.checkout, handle))
    other = []
    for path, text in wanted.items():
        if not o.check:
            path.write_text(text, encoding="utf-8", newline="\n")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            other.append(path.name)
    if other:
        sys.exit(f"Not as documented: {', '.join(other)}. Run it without --check.")


if __name__ == "__main__":
    main()
