"""A slim folder gives what the whole one gives in the characters that it is kept for: so says TensorFlow too."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fuzz_slim
import numpy as np
import pytest
import shared
from references import GOLDEN, VOCABULARY
from tokenizers import Tokenizer

import hub2hf
from hub2hf.blueprint.text import CaseFold, Normalize, ReplacePattern, SplitScripts
from hub2hf.equivalence.recording import Recording
from hub2hf.equivalence.sentences import language_sentences
from hub2hf.errors import ExportError, SourceError
from hub2hf.folder.files import hash_file
from hub2hf.folder.manifest import problems, read_manifest
from hub2hf.hub.plan import unproved
from hub2hf.onnx.weights import whole_rows
from hub2hf.proof.codec import from_json
from hub2hf.proof.summary import summary
from hub2hf.slimming.alphabet import alphabet_of_languages, letters
from hub2hf.slimming.guarantee import characters_of_words, check_rules
from hub2hf.slimming.scope import ORIGINAL_IDS, SlimScope
from hub2hf.surfaces import SURFACES, embed

LETTERS = {"en": "abcdefgh", "el": "αβγδεζηθ", "ru": "абвгдежз", "th": "กขคงจฉชซ"}
ALIKE = ("model.safetensors", "tokenizer.json", "vocab.txt", "tokenizer_config.json", "config.json", ORIGINAL_IDS)


def words(languages: str, count: int, longest: int, seed: int = 1) -> Iterator[str]:
    """Yield words in the few letters of languages, mixed where there are several."""
    randomly = random.Random(seed)
    characters = "".join(LETTERS[name] for name in languages.split())
    for _ in range(count):
        yield "".join(randomly.choices(characters, k=randomly.randint(1, longest)))


def sentences(languages: str, count: int, seed: int = 2) -> list[str]:
    """Return sentences of such words, with digits and signs."""
    randomly = random.Random(seed)
    known = [*words(languages, count * 4, 9, seed), "3,5", "№", "(b)" if "en" in languages else "!", "🐕", "…"]
    return [" ".join(randomly.choices(known, k=6)) for _ in range(count)]


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SavedModel with pieces of up to four letters in four alphabets and across them, and what it converts to."""

    def make(folder: Path) -> None:
        from builders import lealla as reference

        own = VOCABULARY.read_text(encoding="utf-8").splitlines()
        mixed = [word for name in LETTERS for word in words(name, 400, 4)] + list(words("en ru el", 300, 3))
        pieces = dict.fromkeys([*own, *mixed, *(f"##{word}" for word in mixed)])
        (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
        reference.build(folder / "model", folder / "vocab.txt", reference.SIZES["mini"])
        hub2hf.convert(folder / "model", folder / "whole", onnx=True)

    return shared.made_once(tmp_path_factory, "rich", make)


@pytest.fixture(scope="module")
def made(rich: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the rich folder made slim for English and Greek; not to be changed."""

    def make(folder: Path) -> None:
        hub2hf.slim(rich / "whole", folder / "out", languages=["en", "el"])

    return shared.made_once(tmp_path_factory, "rich-slim", make) / "out"


@pytest.fixture
def whole(converted: Path, tmp_path: Path) -> Path:
    """Return a copy of the embedded model's folder."""
    return Path(shutil.copytree(converted, tmp_path / "whole"))


def test_tensorflow_gives_the_ids_and_embeddings_of_a_slim_folder(rich: Path, made: Path, tmp_path: Path) -> None:
    file = tmp_path / "sentences.txt"
    file.write_text("".join(f"el\t{text}\n" for text in sentences("en el", 300)), encoding="utf-8")
    report = hub2hf.verify(rich / "model", made, sentences=file, surfaces=["onnx"])
    assert report.equivalent
    assert [(row.sentences, row.other_ids, row.exact) for row in report.rows] == [(300, 0, True)]
    assert report.unanswered == 0


def test_pieces_went_and_what_is_left_is_spelled_alike(rich: Path, made: Path) -> None:
    before, after = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (rich / "whole", made))
    dropped = before.get_vocab().keys() - after.get_vocab().keys()
    assert len(dropped) > 900
    for text in sentences("en el", 3000, seed=3):
        assert before.encode(text).tokens == after.encode(text).tokens
    assert any(before.encode(text).tokens != after.encode(text).tokens for text in sentences("ru", 50))


def test_generated_strings_have_the_same_pieces(rich: Path, made: Path) -> None:
    """A sample of `make fuzz`."""
    assert fuzz_slim.differences(rich / "whole", made, 20_000, seed=1) == []
    pools = fuzz_slim.parts(made)
    pools["piece"] += words("ru", 50, 4)
    assert {kind for kind, texts in pools.items() if len(set(texts)) > 1} == {"piece", "letter", "shared"}
    before, (after, original, _) = fuzz_slim.tokenizer(rich / "whole"), fuzz_slim.slim_side(made)
    others = fuzz_slim.strings(pools, 500, seed=2)
    assert any(before.encode(text).ids != original[after.encode(text).ids].tolist() for text in others)


def test_no_word_becomes_unknown_that_was_not(rich: Path, made: Path) -> None:
    before, after = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (rich / "whole", made))
    for text in sentences("en el ru th", 1000, seed=4):
        known = [tokenizer.encode(text).tokens.count("[UNK]") for tokenizer in (before, after)]
        assert known[0] == known[1]


@pytest.mark.parametrize("surface", ["onnx", "automodel", "sentence-transformers"])
def test_embeddings_are_the_same_bit_for_bit(rich: Path, made: Path, surface: str) -> None:
    texts = sentences("en el", 64, seed=5)
    whole, slim = (embed(surface, folder, texts) for folder in (rich / "whole", made))
    assert np.array_equal(whole.embeddings, slim.embeddings)
    assert whole.ids != slim.ids


def test_a_slim_folder_made_slim_again_is_that_made_at_once(rich: Path, made: Path, tmp_path: Path) -> None:
    hub2hf.slim(made, tmp_path / "again", languages="el")
    hub2hf.slim(rich / "whole", tmp_path / "once", languages=["el"])
    for name in ALIKE:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "once" / name).read_bytes(), name
    again, once = (read_manifest(tmp_path / name) for name in ("again", "once"))
    assert again.slim and once.slim
    assert again.slim["whole"] == once.slim["whole"]
    assert [rule.split(" (")[0] for rule in again.slim["rules"]] == ["languages en, el", "languages el"]
    with pytest.raises(ExportError, match=r"slim already, without pieces of .* characters that are asked for"):
        hub2hf.slim(made, tmp_path / "ru", languages=["ru"])
    assert not (tmp_path / "ru").exists()


def test_the_manifest_says_what_went_and_by_which_rule(rich: Path, made: Path) -> None:
    before, after = read_manifest(rich / "whole"), read_manifest(made)
    assert after.slim is not None
    pieces = before.identity["vocab_size"]
    assert after.slim["whole"]["fingerprint"] == after.fingerprint == before.fingerprint
    assert after.slim["whole"]["weights_sha256"] == before.files["model.safetensors"]["sha256"]
    assert after.slim["kept"] + after.slim["dropped"] == after.slim["whole"]["pieces"] == pieces
    assert after.slim["rules"] == ["languages en, el (letters of CLDR 48.2.0)"]
    assert after.languages == ("en", "el")
    assert (
        after.identity["vocab_size"]
        == after.slim["kept"]
        == len((made / "vocab.txt").read_text("utf-8").split("\n")) - 1
    )
    assert json.loads((made / "config.json").read_text())["vocab_size"] == after.slim["kept"]
    assert problems(made, after) == {}
    card = (made / "README.md").read_text(encoding="utf-8")
    assert "language:\n- en\n- el\n" in card
    assert f"{after.slim['kept']:,} of {pieces:,} pieces, for languages en, el" in card


def test_it_promises_what_was_asked_for_and_what_no_dropped_piece_holds(made: Path) -> None:
    scope = SlimScope.of(made, read_manifest(made))
    assert scope is not None
    assert all(ord(c) in scope.alphabet for c in LETTERS["en"] + LETTERS["el"] + "Ωέ3,!🐕")
    assert not any(ord(c) in scope.alphabet for c in LETTERS["ru"] + LETTERS["th"])
    assert scope.covers("Ο σκύλος, the dog: 3!")
    assert not scope.covers("собака")
    assert scope.answers("собака", [scope.original_ids[3]])  # written so, but of no dropped piece


def test_what_a_slim_folder_says_nothing_about_is_not_compared(converted: Path, tmp_path: Path) -> None:
    hub2hf.slim(converted, tmp_path / "de", languages=["de"])
    report = hub2hf.verify(None, tmp_path / "de", golden=GOLDEN, languages=["de", "hi"], surfaces=["automodel"])
    recorded = [sentence.language for sentence in Recording.load(GOLDEN).sentences]
    assert report.equivalent
    assert [(row.language, row.sentences) for row in report.rows] == [("de", recorded.count("de"))]
    assert report.unanswered == recorded.count("hi")
    told = f"{report.unanswered} sentences left out, which this slim folder does not cover"
    assert told in summary(report)
    assert told in (tmp_path / "de" / "README.md").read_text(encoding="utf-8")
    proof = json.loads((tmp_path / "de" / "equivalence.json").read_text(encoding="utf-8"))
    assert proof["unanswered"] == from_json(proof).unanswered == report.unanswered


def test_a_language_that_a_slim_folder_covers_in_part_is_not_among_the_exact_ones(
    converted: Path, tmp_path: Path
) -> None:
    """Of Persian it covers one sentence of four: a row `fa` in a table of what is exact would say that all are."""
    hub2hf.slim(converted, tmp_path / "de", languages="de,ja")
    report = hub2hf.verify(None, tmp_path / "de", golden=GOLDEN, languages="de,fa,traps", surfaces="automodel")
    assert report.unanswered > 0
    rows = {row.language: row.sentences for row in report.rows}
    assert rows.keys() == {"de", "others", "traps"}
    told = Counter(sentence.language for sentence in Recording.load(GOLDEN).sentences)
    assert 0 < rows["others"] < told["fa"]
    assert 0 < rows["traps"] < told["traps"], "these are texts of all languages, and no language"
    assert summary(report).startswith("EXACT FOR WHAT IT COVERS: ")
    card = (tmp_path / "de" / "README.md").read_text(encoding="utf-8")
    assert "**Exactly the original, for what it covers**" in card
    assert "de, parts of other languages, and texts that ports often get wrong" in card
    assert "| fa " not in card


def test_a_language_that_it_was_made_for_stays_one_though_a_sentence_is_left_out(
    rich: Path, made: Path, tmp_path: Path
) -> None:
    file = tmp_path / "sentences.txt"
    lines = [f"{name}\t{text}\n" for name in ("en", "ru") for text in ("abc de", "абв где ж", "cab", "ab cde")]
    file.write_text("".join(lines), encoding="utf-8")
    report = hub2hf.verify(rich / "model", made, sentences=file, surfaces="onnx")
    assert {row.language: row.sentences for row in report.rows} == {"en": 3, "others": 3}
    assert report.unanswered == 2


def test_nothing_to_compare_is_an_error(rich: Path, made: Path, tmp_path: Path) -> None:
    file = tmp_path / "russian.txt"
    file.write_text("\n".join(sentences("ru", 3)), encoding="utf-8")
    with pytest.raises(SourceError, match="is slim, and covers none of the 3 sentences"):
        hub2hf.verify(rich / "model", made, sentences=file, surfaces=["onnx"])


def test_a_push_asks_for_a_proof_in_its_languages(converted: Path, tmp_path: Path) -> None:
    out = tmp_path / "de"
    hub2hf.slim(converted, out, languages=["de", "ja"])
    manifest = read_manifest(out)
    assert "no verification" in unproved(manifest, None)
    ways = [name for name, way in SURFACES.items() if way.exact and not way.by_name and way.applies(manifest.files)]
    report = hub2hf.verify(None, out, golden=GOLDEN, languages=["de", "traps"], surfaces=ways)
    assert "covers 1 of its 2 languages" in unproved(manifest, report)
    report = hub2hf.verify(None, out, golden=GOLDEN, languages=["de", "ja", "traps"], surfaces=ways)
    assert unproved(manifest, report) == ""


def test_it_goes_to_the_browser(made: Path, tmp_path: Path) -> None:
    hub2hf.export(made, "web", tmp_path / "web")
    there, web = (
        Tokenizer.from_file(str(made / "tokenizer.json")),
        json.loads((tmp_path / "web/tokenizer.json").read_text()),
    )
    assert web["model"]["vocab"] == there.get_vocab()
    assert (tmp_path / "web/onnx/model.onnx").read_bytes() == (made / "onnx/model.onnx").read_bytes()


@pytest.mark.parametrize("scripts", ["Latin", "Latin,Greek"])
def test_scripts(rich: Path, tmp_path: Path, scripts: str) -> None:
    slim = hub2hf.slim(rich / "whole", tmp_path / "out", scripts=scripts.split(","))
    assert set("abcé") <= {c for c in "abcéαя" if ord(c) in slim.alphabet}
    assert (ord("α") in slim.alphabet) == ("Greek" in scripts)
    assert ord("я") in slim.alphabet  # of no piece but its own
    assert ord("а") not in slim.alphabet
    assert "de" in slim.languages
    assert ("el" in slim.languages) == ("Greek" in scripts)


def test_an_alphabet_of_ones_own(rich: Path, tmp_path: Path) -> None:
    file = tmp_path / "alphabet.txt"
    file.write_text("а б\nв", encoding="utf-8")
    slim = hub2hf.slim(rich / "whole", tmp_path / "out", alphabet=file)
    pieces = set((tmp_path / "out" / "vocab.txt").read_text(encoding="utf-8").split("\n"))
    before = (rich / "whole" / "vocab.txt").read_text(encoding="utf-8").split("\n")
    assert {p for p in before if set(p.removeprefix("##")) <= set("абв")} <= pieces
    assert not {p for p in pieces if len(p.removeprefix("##")) > 1 and set(p) & set("где")}
    assert not {"ru", "de", "el"} & {*slim.languages}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "Nothing says what to keep"),
        ({"languages": ["de", "tlh"]}, "no language tlh"),
        ({"scripts": ["Klingon"]}, "no script Klingon"),
        ({"scripts": ["Unknown"]}, "no script Unknown"),
        ({"alphabet": "none.txt"}, "none.txt cannot be read"),
        ({"alphabet": "empty.txt"}, "empty.txt holds no characters"),
        ({"alphabet": "latin1.txt"}, "latin1.txt is not UTF-8"),
    ],
)
def test_what_cannot_be_kept(converted: Path, tmp_path: Path, asked: dict[str, object], told: str) -> None:
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "latin1.txt").write_bytes(b"\xe9")
    if "alphabet" in asked:
        asked = {"alphabet": tmp_path / str(asked["alphabet"])}
    with pytest.raises(ExportError, match=told):
        hub2hf.slim(converted, tmp_path / "out", **asked)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_folder_that_was_changed_is_refused(whole: Path, tmp_path: Path) -> None:
    weights = bytearray((whole / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (whole / "model.safetensors").write_bytes(weights)
    with pytest.raises(ExportError, match=r"model.safetensors has other bytes"):
        hub2hf.slim(whole, tmp_path / "out", languages=["de"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["whole"]


@pytest.mark.parametrize("options", [{"languages": "de"}, {"int8": True}])
@pytest.mark.parametrize("content", ["{", "[1, 2]", ""])
def test_a_file_that_is_none_any_more_is_named(
    content: str, options: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    (whole / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(ExportError, match=r"config.json has \d bytes?, not \d+"):
        hub2hf.slim(whole, tmp_path / "out", **options)


def test_a_tokenizer_of_another_version_is_refused(whole: Path, tmp_path: Path) -> None:
    path, manifest = whole / "tokenizer.json", whole / "hub2hf.json"
    before = hash_file(path)["sha256"]
    path.write_text(
        path.read_text(encoding="utf-8").replace('"max_length": 128', '"max_length": 127', 1), encoding="utf-8"
    )
    manifest.write_text(
        manifest.read_text(encoding="utf-8").replace(before, hash_file(path)["sha256"]), encoding="utf-8"
    )
    with pytest.raises(ExportError, match=r"tokenizer.json is not what this version"):
        hub2hf.slim(whole, tmp_path / "out", languages=["de"])


def test_rules_that_tell_nothing_of_characters_are_refused() -> None:
    check_rules([CaseFold("fold"), Normalize("NFD", "nfd"), ReplacePattern("a", "b", "r"), SplitScripts("s")])
    for rules in ([CaseFold("fold"), SplitScripts("s")], [Normalize("NFKC", "fold")]):
        with pytest.raises(ExportError, match="Node 'fold'"):
            check_rules(rules)


def test_characters_of_words_are_folded_decomposed_and_replaced() -> None:
    rules = [ReplacePattern("x", "Q", "r"), CaseFold("fold"), Normalize("NFD", "nfd")]
    assert characters_of_words("Éﬁx", rules) == {*"e\u0301fixq"}


@pytest.mark.parametrize("size", [1, 3, 4, 5, 64])
def test_rows_come_whole_of_pieces_that_end_anywhere(size: int) -> None:
    table = np.arange(40, dtype=np.float32).reshape(10, 4)
    flat = table.reshape(-1)
    found = list(whole_rows((flat[at : at + size] for at in range(0, 40, size)), 4))
    assert np.array_equal(np.concatenate(found), table)


def test_the_table_of_letters_has_every_language_of_the_card() -> None:
    assert list(letters()) == list(dict.fromkeys(name for name, _ in language_sentences()))
    assert {name for name, own in letters().items() if own.origin == "sentences"} == {"hmn", "la", "sm"}
    assert letters()["tl"].origin == "fil"
    outside: dict[str, set[str]] = {}
    for name, text in language_sentences():
        alphabet = alphabet_of_languages([name])
        outside.setdefault(name, set()).update(c for c in text if ord(c) not in alphabet)
    assert {name: found for name, found in outside.items() if found} == {"ja": {*"KO"}, "km": {"ៗ"}, "ko": {*"KTX"}}


def test_the_command(run_hub2hf: Callable[..., tuple[int, str, str]], converted: Path, tmp_path: Path) -> None:
    code, printed, _ = run_hub2hf("slim", converted, tmp_path / "out", "--languages", "de,ja", "--json")
    told = json.loads(printed)
    assert (code, told["languages"], told["kept"] + told["dropped"]) == (0, ["de", "ja"], 5516)
    assert told["bytes"] == sum(entry["bytes"] for entry in read_manifest(tmp_path / "out").files.values())
    code, printed, _ = run_hub2hf("slim", converted, tmp_path / "other", "--scripts", "Latin")
    assert (code, printed.splitlines()[1][:10]) == (0, "exact for ")
    code, _, said = run_hub2hf("slim", converted, tmp_path / "out", "--languages", "xx")
    assert (code, "There is no language xx" in said) == (2, True)


def used(folder: Path, text: str) -> set[str]:
    return set(Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).tokens)


def test_a_corpus_keeps_the_pieces_of_its_texts(rich: Path, tmp_path: Path) -> None:
    texts = [("ru", text) for text in sentences("ru", 120, seed=6)] + [
        ("xx", text) for text in sentences("el", 80, seed=7)
    ]
    (tmp_path / "corpus.txt").write_text("".join(f"{name}\t{text}\n" for name, text in texts), encoding="utf-8")
    slim = hub2hf.slim(rich / "whole", tmp_path / "out", corpus=tmp_path / "corpus.txt")
    assert slim.languages == ("ru",)
    assert slim.slim is not None
    before, after = (
        Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (rich / "whole", tmp_path / "out")
    )
    held = [(name, text) for name, text in texts if hashlib.sha256(text.encode()).digest()[0] % 10 == 0]
    learnt = set().union(*(used(rich / "whole", text) for name, text in texts if (name, text) not in held))
    expected: dict[str, list[int]] = {}
    for name, text in held:
        one = expected.setdefault(name, [0, 0])
        one[0] += 1
        one[1] += not used(rich / "whole", text) <= learnt
    told = {name: [one["texts"], one["other_ids"]] for name, one in slim.slim["corpus"]["held_out"].items()}
    assert told == expected
    assert sum(one[1] for one in told.values()) > 0
    assert slim.slim["corpus"]["texts"] == 200
    assert all(before.encode(text).tokens == after.encode(text).tokens for _, text in texts)
    dropped = before.get_vocab().keys() - after.get_vocab().keys()
    assert len(dropped) > 500
    scope = SlimScope.of(tmp_path / "out", read_manifest(tmp_path / "out"))
    assert scope is not None
    others = sentences("ru el th", 300, seed=8)
    answered = [text for text in others if scope.answers(text, before.encode(text).ids)]
    assert 0 < len(answered) < len(others)
    assert all(before.encode(text).tokens == after.encode(text).tokens for text in answered)


def test_a_corpus_without_texts_is_refused(converted: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("\n\n")
    with pytest.raises(ExportError, match=r"corpus.txt holds no texts"):
        hub2hf.slim(converted, tmp_path / "out", corpus=tmp_path / "corpus.txt")
    assert not (tmp_path / "out").exists()
