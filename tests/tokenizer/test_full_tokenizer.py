"""`--text-rules fulltokenizer`: BERT's FullTokenizer, against itself written out, and that against transformers."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
import shared
from builders.oracles import RULES
from fuzz_tokenizer import CompiledSide, alphabet_vocabulary, characters, compare, generated, sigmas, young
from references import EMBEDDED, VOCABULARY, Pair

import hub2hf
from hub2hf.equivalence.sentences import language_sentences, trap_sentences
from hub2hf.errors import SourceError
from hub2hf.folder.agreement import prove_tables
from hub2hf.tokenizer import probe_tokenizer
from hub2hf.witness.full_tokenizer import full_tokenizer, words

SOME, FEW = 7, 28  # one code point in so many, beside others; `make fuzz` has all
FRAMES = ("{}", "a{}b", "{0}{0}", "É{}")


def _texts(every: int) -> Iterator[str]:
    turn = shared.turn()
    for char in characters()[turn % every :: every]:
        yield from (frame.format(char) for frame in FRAMES)
    yield from sigmas(every, turn)
    yield from generated(2000, turn=turn)
    yield from (sentence.text for sentence in (*language_sentences(), *trap_sentences()))


@pytest.mark.parametrize("rules", ["full-cased", "full-uncased"])
def test_the_tokenizer_is_the_algorithm(rules: str, tmp_path: Path) -> None:
    text, oracle = RULES[rules](alphabet_vocabulary(tmp_path))
    prove_tables(text)
    count, different = compare(_texts(FEW), oracle, CompiledSide(text, tmp_path))
    assert count > 40_000
    assert not different, shared.turn()


@pytest.mark.parametrize("lower", [False, True])
def test_the_algorithm_is_that_of_transformers(lower: bool) -> None:
    """That one composes text first, and deletes what is unassigned or private: of other texts it is the same."""
    from transformers.models.bert.tokenization_bert_legacy import BasicTokenizer

    theirs = BasicTokenizer(do_lower_case=lower, strip_accents=lower)
    count = 0
    for text in _texts(SOME):
        kept = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf"))
        if kept == unicodedata.normalize("NFC", kept) and not any(
            unicodedata.category(c) in ("Cn", "Co") for c in kept
        ):
            assert list(words(text, lower)) == theirs.tokenize(text), ascii(text)
            count += 1
    assert count > 80_000


# What each text becomes, uncased and cased; TF.Text's rules give others.
SAID = {
    "می\u200cروم": ("میروم", "میروم"),  # ZWNJ, in ordinary Persian
    "ΟΔΟΣ Σ ΣΑΣ. ΑΣ'Σ": ("οδος σ σας . ασ ' ς", "ΟΔΟΣ Σ ΣΑΣ . ΑΣ ' Σ"),
    "a\u2028b\u000bc\u0085d\ufffde\0f": ("a bcdef", "a bcdef"),
    "Straße ﬁ ½": ("straße ﬁ ½", "Straße ﬁ ½"),
    "日本x語": ("日 本 x 語", "日 本 x 語"),
    "[CLS] É^": ("[ cls ] e ^", "[ CLS ] É ^"),
    "İ\u2c2f": ("i\u2c5f", "İ\u2c2f"),
    " \t\r\n": ("", ""),
}


@pytest.mark.parametrize("lower", [False, True])
def test_what_it_says_of_texts_that_ports_get_wrong(lower: bool) -> None:
    text = RULES["full-uncased" if lower else "full-cased"](VOCABULARY)[0]
    tokenizer = probe_tokenizer(text, {"[UNK]": 100})
    for given, said in SAID.items():
        assert list(words(given, lower)) == said[not lower].split(), given
        changed = tokenizer.normalizer.normalize_str(given)
        assert [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(changed)] == said[not lower].split()


def test_a_word_is_as_long_as_it_has_characters() -> None:
    vocabulary = {"[UNK]": 100, "ก": 7, "##ก": 8}
    tokenizer = probe_tokenizer(RULES["full-cased"](VOCABULARY)[0], vocabulary)
    tokenizer.no_truncation()
    for count in (199, 200, 201, 300):
        expected = [7] + [8] * (count - 1) if count <= 200 else [100]
        assert tokenizer.encode("ก" * count).ids[1:-1] == full_tokenizer(vocabulary, False)("ก" * count) == expected


@pytest.mark.parametrize("given", [" Σ", "Σ'", "Α'Σ", "Σ" * 3 + ".", "a" + "'" * 9 + "Σ "])
def test_sigmas_take_linear_time(given: str) -> None:
    from time import thread_time

    tokenizer = probe_tokenizer(RULES["full-uncased"](VOCABULARY)[0], {"[UNK]": 100})
    start = thread_time()
    tokenizer.encode(given * (100_000 // len(given)))
    assert thread_time() - start < 5


@pytest.fixture(scope="module")
def converted(
    pair: Callable[[str], Pair], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, hub2hf.Conversion]]:
    """A cased encoder, of which no preprocessor is told, and an uncased one, by these rules."""
    out = tmp_path_factory.mktemp("full")
    encoders = {name: pair(name).encoder for name in ("cased", "uncased")}
    return {
        name: (encoder, hub2hf.convert(encoder, out / name, text_rules="fulltokenizer"))
        for name, encoder in encoders.items()
    }


@pytest.mark.parametrize("name", ["cased", "uncased"])
def test_a_folder_by_these_rules_is_proved_by_them(
    name: str, converted: dict[str, tuple[Path, hub2hf.Conversion]]
) -> None:
    encoder, conversion = converted[name]
    told = conversion.manifest["blueprint"]
    assert (told["text_rules"], told["text_origin"].partition(" (")[0]) == ("fulltokenizer", "BERT's FullTokenizer")
    report = hub2hf.verify(encoder, conversion.out, languages=["fa", "el", "ja", "de", "traps"])
    assert report.equivalent
    assert "ids from the text rules written out in plain Python" in report.witness
    card = (conversion.out / "README.md").read_text()
    assert "| Text operations from | BERT's FullTokenizer" in card
    assert "more than 200 characters" in card
    other = hub2hf.verify(encoder, conversion.out, text_rules="tftext", languages=["fa", "traps"])
    assert not other.equivalent


def test_the_manifest_tells_whose_rules_the_default_is_not(pair: Callable[[str], Pair], tmp_path: Path) -> None:
    manifests = [
        hub2hf.convert(pair("cased").encoder, tmp_path / str(i), text_rules=rules).manifest
        for i, rules in enumerate(("", "tftext"))
    ]
    assert manifests[0]["blueprint"]["text"] == manifests[1]["blueprint"]["text"]
    assert "text_rules" not in manifests[0]["blueprint"]


def test_inspect_names_the_rules(pair: Callable[[str], Pair], run_hub2hf: Callable[..., tuple[int, str, str]]) -> None:
    given = ["inspect", pair("uncased").encoder, "--text-rules", "fulltokenizer"]
    status, shown, _ = run_hub2hf(*given)
    assert status == 0
    assert all(said in shown for said in ("BERT's FullTokenizer", "lower case (str.lower)", "200 characters"))
    assert json.loads(run_hub2hf(*given, "--json")[1])["text_rules"] == "fulltokenizer"


def test_a_slim_folder_keeps_what_these_rules_make(
    converted: dict[str, tuple[Path, hub2hf.Conversion]], tmp_path: Path
) -> None:
    from tokenizers import Tokenizer

    folder = converted["uncased"][1].out
    hub2hf.slim(folder, tmp_path / "slim", languages=["el", "de"])
    whole, slim = (Tokenizer.from_file(str(place / "tokenizer.json")) for place in (folder, tmp_path / "slim"))
    for sentence in islice((s for s in language_sentences() if s.language in ("el", "de")), 8):
        assert whole.encode(sentence.text).tokens == slim.encode(sentence.text).tokens


def test_rules_that_are_not_there_or_not_needed(pair: Callable[[str], Pair]) -> None:
    cased = pair("cased")
    with pytest.raises(SourceError, match=r"no text rules 'full'.*tftext, fulltokenizer"):
        hub2hf.inspect(cased.encoder, text_rules="full")
    with pytest.raises(SourceError, match="a preprocessor and text rules"):
        hub2hf.inspect(cased.encoder, preprocessor=cased.preprocessor, text_rules="fulltokenizer")
    with pytest.raises(SourceError, match="it has its own text side"):
        hub2hf.inspect(EMBEDDED, text_rules="fulltokenizer")
    assert young()
