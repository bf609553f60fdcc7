"""Sets of characters, foldings, patterns and splits, ours and those of the witness, on texts that can be read."""

from __future__ import annotations

import random

import numpy as np
import pytest
from tokenizers import Regex, normalizers

from hub2hf.blueprint.text import (
    Normalize,
    Pack,
    ReplacePattern,
    SplitCharacters,
    SplitDelimiters,
    SplitScripts,
    TextBlueprint,
    WordPiece,
)
from hub2hf.errors import GraphError, VocabularyError
from hub2hf.tokenizer import probe_tokenizer, read_vocabulary, special_tokens
from hub2hf.tokenizer.charsmap import charsmap
from hub2hf.tokenizer.files import special_tokens_map, tokenizer_config, write_vocab_txt
from hub2hf.tokenizer.marks import stand_ins
from hub2hf.tokenizer.pipeline import check_order
from hub2hf.tokenizer.vocabulary import Vocabulary
from hub2hf.unicode import casing, folding, tables
from hub2hf.unicode.automaton import words_matching
from hub2hf.unicode.codepoints import EVERYTHING, LAST, CodePoints, union
from hub2hf.unicode.delimiters import read_delimiters
from hub2hf.unicode.dialect import ONIGURUMA
from hub2hf.unicode.patterns import replacement
from hub2hf.unicode.re2 import parse
from hub2hf.witness import boundaries, points
from hub2hf.witness import folding as theirs
from hub2hf.witness.patterns import character_at, compiled
from hub2hf.witness.rewrites import read_rewrite
from hub2hf.witness.syntax import classes, tokens

SMALL = 40


def drawn(source: random.Random) -> set[int]:
    return {source.randrange(SMALL) for _ in range(source.randrange(12))}


def points_of(codes: CodePoints) -> set[int]:
    return {code for low, high in codes.ranges for code in range(low, high + 1)}


class TestCodePoints:
    def test_are_sets(self) -> None:
        source = random.Random(5)
        for _ in range(60):
            a, b = drawn(source), drawn(source)
            left, right = (union(CodePoints.single(code) for code in codes) for codes in (a, b))
            assert points_of(left | right) == a | b
            assert points_of(left & right) == a & b
            assert points_of(left - right) == a - b
            assert [code in left for code in range(SMALL)] == [code in a for code in range(SMALL)]
            assert (len(left), bool(left)) == (len(a), bool(a))
            assert all(first[1] + 1 < second[0] for first, second in zip(left.ranges, left.ranges[1:], strict=False))

    def test_what_is_not_in_them_goes_to_the_last(self) -> None:
        assert (~CodePoints.parse("1-10FFFE")).ranges == ((0, 0), (LAST, LAST))
        assert ~CodePoints() == EVERYTHING
        assert CodePoints.parse("41-43 44 61").ranges == ((0x41, 0x44), (0x61, 0x61))

    @pytest.mark.parametrize("text", ["61-7A", "0-60 7B-10FFFF", "2D 5D 5E 61", ""])
    def test_are_written_as_classes(self, text: str) -> None:
        codes = CodePoints.parse(text)
        step = normalizers.Replace(Regex(ONIGURUMA.one_of(codes)), "!")
        given = [chr(code) for code in (*range(0x20, 0x80), 0x1F600)]
        assert [step.normalize_str(c) == "!" for c in given] == [ord(c) in codes or c == "!" for c in given]


class TestFolding:
    def test_hangul_comes_apart_as_the_standard_says(self) -> None:
        for syllable, jamo in (("가", "\u1100\u1161"), ("각", "\u1100\u1161\u11a8"), ("힣", "\u1112\u1175\u11c2")):
            assert folding.decomposed(syllable) == theirs.decomposed(syllable) == jamo

    def test_both_fold_alike(self) -> None:
        for character in "AßİǅΣﬁ\u00adＡé犬a1":
            assert folding.case_folded(character) == theirs.folded_character(character), character
        assert [folding.case_folded(c) for c in ("ß", "\u00ad", "Ａ")] == ["ss", "", "a"]

    def test_a_sigma_at_the_end_of_a_word_has_another_form(self) -> None:
        assert casing.lowered("ΟΔΟΣ ΣΑΣ") == "οδος σας"
        assert casing.uppered("straße") == "STRASSE"

    def test_marks_stand_in_for_others_of_their_class_only(self) -> None:
        marks = folding.mark_classes()
        deleted = {mark for mark in marks if ord(mark) in (tables.re2_class("Mn") or ())}
        found = stand_ins(marks.keys() - deleted, deleted)
        assert found
        assert len(set(found.values())) == len(found)
        assert not folding.unsorted_marks().intersection(found.values())
        assert stand_ins(marks, ()) == {}


class TestTables:
    def test_every_character_has_one_script(self) -> None:
        names = list(tables.scripts())
        for character, script in (
            ("a", "Latin"),
            ("я", "Cyrillic"),
            ("犬", "Han"),
            ("1", "Common"),
            ("\u0378", "Unknown"),
        ):
            assert names[tables.script_of(character)] == script
        assert sum(map(len, tables.scripts().values())) == LAST + 1
        for number, codes in enumerate(tables.scripts().values()):
            assert {tables.script_of(chr(end)) for pair in codes.ranges for end in pair} == {number}

    def test_groups_are_unions(self) -> None:
        assert tables.re2_class("Z") == union(tables.re2_class(name) or EVERYTHING for name in ("Zs", "Zl", "Zp"))
        assert tables.re2_class("Cs") == CodePoints()
        assert tables.re2_class("Klingon") is None

    def test_ours_and_those_of_the_witness_are_the_same(self) -> None:
        for name in ("Lu", "Nd", "Han", "Cf"):
            surrogates = CodePoints.of(points.SURROGATES)
            assert ((tables.re2_class(name) or EVERYTHING) - surrogates).ranges == points.code_points(name)
        assert points.ranges(points.white_space()) == tables.whitespace().ranges

    def test_runs_of_members_have_ends(self) -> None:
        members = np.zeros(LAST + 1, bool)
        members[[0, 1, 5, LAST, 0xD7FF, 0xD800]] = True
        assert points.ranges(members) == ((0, 1), (5, 5), (0xD7FF, 0xD7FF), (LAST, LAST))
        assert points.widths(np.asarray([0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x10000])).tolist() == [1, 2, 2, 3, 3, 4]

    def test_boundaries_stand_on_both_sides(self) -> None:
        found = set(boundaries.boundary_points([r"[\x{2000}-\x{206F}]я"]))
        assert {0x1FFF, 0x2000, 0x206F, 0x2070, 0x44E, 0x44F, 0x450, LAST} <= found
        assert not {0x2001, 0x2010, 0x44D} & found


class TestPatterns:
    def test_delimiters_are_dropped_or_stay(self) -> None:
        found = read_delimiters(r"\s+|[,.]", "[.]", "n")
        assert list(found.split(" a,b . c.")) == [("a", 1), ("b", 3), (".", 5), ("c", 7), (".", 8)]
        with pytest.raises(GraphError, match="a run of delimiters stays"):
            read_delimiters(r"\s+|[,.]+", "[.]", "n")
        with pytest.raises(GraphError, match="more than single characters"):
            read_delimiters("ab", "", "n")

    def test_the_last_word_is_split_off_too(self) -> None:
        assert list(read_delimiters(r"\s", "", "n").split("a b")) == [("a", 0), ("b", 2)]

    @pytest.mark.parametrize("pattern", ["a+b$", "^a|b", "(?:a|ab){1,2}", "a[^b]*$"])
    def test_an_automaton_accepts_what_re2_matches(self, pattern: str) -> None:
        automaton = words_matching((pattern,), "n")
        for word in ("a", "b", "ab", "aab", "aba", "abab", "ac", "b^", ""):
            assert automaton.accepts(word) == compiled(pattern, "n").matches(word.encode()), word
        assert not words_matching(("a^b", "a$b"), "n").accepts("ab")

    @pytest.mark.parametrize("pattern", ["a*", "(?:a+b)+", "(?:a+)+", r"\s+$", "^", "a{0,2}"])
    def test_replacements_that_could_differ_are_refused(self, pattern: str) -> None:
        with pytest.raises(GraphError, match="cannot be translated"):
            replacement(pattern, "", "n")

    @pytest.mark.parametrize(
        ("pattern", "rewrite", "text", "after"),
        [
            ("b+?", "-", "abba", "a--a"),
            ("(?:a|b){2}", "-", "abaca", "-aca"),
            (r"[^a-c]", r"\\", "abcd", "abc\\"),
            ("a|ab", "x", "ab", "xb"),
            ("^a|a$", "x", "aaa", "xax"),
        ],
    )
    def test_replacements_are_those_of_re2(self, pattern: str, rewrite: str, text: str, after: str) -> None:
        regex, content = replacement(pattern, rewrite, "n")
        assert normalizers.Replace(Regex(regex), content).normalize_str(text) == after
        witness = compiled(pattern, "n").replaced(text.encode(), read_rewrite(rewrite.encode()), True)
        assert witness.decode() == after

    @pytest.mark.parametrize("pattern", ["a**", "(a", "[b-a]", r"\p{Klingon}", "(?i)a", r"\bword", "[[:x:]]"])
    def test_what_is_not_understood_names_node_and_pattern(self, pattern: str) -> None:
        with pytest.raises(GraphError, match="body/Clean") as told:
            parse(pattern, "body/Clean")
        assert repr(pattern) in str(told.value)


class TestWitness:
    @pytest.mark.parametrize(
        ("pattern", "kept", "text", "words"),
        [
            ("( )", None, " a  b", ["a", "b"]),
            ("([ ,])", ",", "a, b,", ["a", ",", "b", ","]),
            ("x( )", None, "ax b", ["ax", "b"]),
            ("a", None, "bab", ["bab"]),
        ],
    )
    def test_splits(self, pattern: str, kept: str | None, text: str, words: list[str]) -> None:
        stay = compiled(kept, "n") if kept else None
        assert [text[start:end] for start, end in compiled(pattern, "n").split(text.encode(), stay)] == words

    def test_a_delimiter_that_is_nothing_is_refused(self) -> None:
        with pytest.raises(GraphError, match="is nothing"):
            list(compiled("(b*)", "n").split(b"axb", None))
        with pytest.raises(GraphError, match="is nothing"):
            list(compiled("(y)?x", "n").split(b"axb", None))

    @pytest.mark.parametrize(
        ("rewrite", "everywhere", "after"),
        [
            (rb"<\1>", True, b"<a>1<a>2"),
            (rb"<\1>", False, b"<a>1a2"),
            (rb"\\\0", True, rb"\a1\a2"),
            (rb"\7", True, b"a1a2"),
            (b"x\\", True, b"x1x2"),
            (b"x\\", False, b"a1a2"),
        ],
    )
    def test_rewrites(self, rewrite: bytes, everywhere: bool, after: bytes) -> None:
        assert compiled("(a)", "n").replaced(b"a1a2", read_rewrite(rewrite), everywhere) == after

    def test_empty_matches_stand_between_characters(self) -> None:
        nothing = compiled("x*", "n")
        assert nothing.replaced("aéx".encode(), read_rewrite(b"-"), True).decode() == "-a-é-"
        assert [character_at(c.encode(), 0) for c in ("a", "é", "犬", "😀")] == [1, 2, 3, 4]
        assert character_at(b"\xffa", 0) == 1

    def test_matches_are_of_the_whole_text(self) -> None:
        assert compiled("a+", "n").matches(b"aa")
        assert not compiled("a+", "n").matches(b"aab")

    def test_case_in_doubt_is_refused(self) -> None:
        with pytest.raises(GraphError, match=r"U\+1FD3"):
            compiled("(?i)[\u0370-\u03ff]", "n").matches("\u1fd3".encode())

    def test_classes_of_a_pattern_are_found(self) -> None:
        assert classes(r"\p{Lo}[\PL\p{^Han}]\\p\Q\pN\E\p{Lo}") == ("Lo", "L", "Han")

    def test_classes_know_whether_they_are_negated(self) -> None:
        found = [token.negated for token in tokens(r"\pL\PL\p{^L}\P{^L}") if token.name]
        assert found == [False, True, True, False]


PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##a", "b", ".", "犬", "##犬")
PACK = Pack(2, 3, 0, 6, "pack")


def text_side(*operations: object, limit: int = 8, pack: Pack = PACK) -> TextBlueprint:
    word = WordPiece("##", "[UNK]", limit, "word")
    return TextBlueprint((*operations, word, pack), None, "asset")  # type: ignore[arg-type]


class TestTokenizer:
    def ids(self, text: str, *operations: object, **given: object) -> list[int]:
        tokenizer = probe_tokenizer(text_side(*operations, **given), {p: i for i, p in enumerate(PIECES)})  # type: ignore[arg-type]
        return list(tokenizer.encode(text).ids)

    def test_words_over_the_limit_are_unknown_by_their_bytes(self) -> None:
        assert self.ids("aaaa", SplitScripts("s"), limit=4) == [2, 4, 5, 5, 5, 3]
        assert self.ids("aaaaa", SplitScripts("s"), limit=4) == [2, 1, 3]
        assert self.ids("犬", SplitScripts("s"), limit=4) == [2, 8, 3]
        assert self.ids("犬犬", SplitScripts("s"), limit=5) == [2, 1, 3]
        assert self.ids("犬犬", SplitScripts("s"), limit=6) == [2, 8, 9, 3]

    def test_every_long_word_is_counted_but_those_that_are_cut(self) -> None:
        """Words of all lengths around the limit, short and long ones in turn, of characters of one to four bytes."""
        kinds, rng = "aé犬😀", random.Random(0)
        pieces = {"[UNK]": 1, **{f"{start}{c}": 10 * (ord(c) + len(start)) for c in kinds for start in ("", "##")}}
        operations = SplitDelimiters(r"\s+", "", "d"), SplitCharacters(("a+",), "c")
        tokenizer = probe_tokenizer(text_side(*operations, limit=8, pack=Pack(2, 3, 0, 99, "p")), pieces)

        def expected(word: str) -> list[int]:
            if set(word) == {"a"}:
                return [pieces["a"]] * len(word)
            return [1] if len(word.encode()) > 8 else [pieces[word[0]], *(pieces[f"##{c}"] for c in word[1:])]

        for _ in range(500):
            lengths = rng.choices([1, 2, 3, 4, 8, 9], k=rng.randint(1, 6))
            words = ["".join(rng.choices(rng.choice([*kinds, kinds]), k=length)) for length in lengths]
            assert tokenizer.encode(" ".join(words)).ids[1:-1] == [i for word in words for i in expected(word)]

    def test_the_first_pieces_are_kept(self) -> None:
        assert self.ids("a b a b a b", SplitScripts("s")) == [2, 4, 6, 4, 6, 3]

    def test_scripts_are_parted_and_white_space_inside_one_goes(self) -> None:
        assert self.ids("a犬 .b", SplitScripts("s"), pack=Pack(2, 3, 0, 9, "p")) == [2, 4, 8, 7, 6, 3]
        assert self.ids(". .", SplitScripts("s")) == self.ids("..", SplitScripts("s")) == [2, 1, 3]

    def test_delimiters_that_stay_are_words(self) -> None:
        assert self.ids("a.a b", SplitDelimiters(r"\s+|[.]", "[.]", "d")) == [2, 4, 7, 4, 6, 3]

    def test_words_that_match_are_cut_into_characters(self) -> None:
        cut = SplitCharacters((r"b+",), "c")
        assert self.ids("bb aa", SplitDelimiters(r"\s+", "", "d"), cut) == [2, 6, 6, 4, 5, 3]

    def test_operations_out_of_order_are_refused(self) -> None:
        check_order(text_side(ReplacePattern("x", "", "r"), SplitScripts("s")).operations)
        for wrong in ((SplitScripts("s"), ReplacePattern("x", "", "r")), (SplitScripts("s"),) * 2):
            with pytest.raises(GraphError, match="not understood in this place"):
                check_order(text_side(*wrong).operations)
        with pytest.raises(GraphError, match="hold no SplitScripts or SplitDelimiters"):
            check_order(text_side().operations)
        with pytest.raises(GraphError, match="normalizes to NFC"):
            self.ids("a", Normalize("NFC", "n"), SplitScripts("s"))

    @pytest.mark.parametrize("length", [1, 0])
    def test_there_is_room_for_the_ends(self, length: int) -> None:
        with pytest.raises(GraphError, match=f"packs to {length}"):
            self.ids("a", SplitScripts("s"), pack=Pack(2, 3, 0, length, "pack"))

    def test_a_map_of_characters_maps_them(self) -> None:
        mapping = {"a": "x", "é": "", "犬": "dog", "😀": "a"}
        step = normalizers.Precompiled(charsmap(mapping))
        assert step.normalize_str("aé犬b😀") == "xdogba"

    def test_literal_special_tokens_of_a_text_are_text(self, tmp_path) -> None:  # noqa: ANN001
        path = tmp_path / "vocab.txt"
        path.write_text("\n".join(PIECES), encoding="utf-8")
        text, vocabulary = text_side(SplitScripts("s")), read_vocabulary(path)
        tokens = special_tokens(text, vocabulary)
        found = special_tokens_map(tokens)
        assert found == {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
        config = tokenizer_config(text, tokens)
        assert config["split_special_tokens"] is True
        assert (config["model_max_length"], config["truncation_side"], config["do_lower_case"]) == (6, "right", False)
        write_vocab_txt(vocabulary, tmp_path / "again.txt")
        assert read_vocabulary(tmp_path / "again.txt").pieces == PIECES

    def test_a_piece_has_the_number_of_its_line(self, tmp_path) -> None:  # noqa: ANN001
        vocabulary = Vocabulary.of(PIECES, tmp_path)
        assert [vocabulary.number(piece) for piece in PIECES] == list(range(len(PIECES)))
        assert [vocabulary.number(part) for part in ("[CL", "CLS]", "", "\ud800")] == [None] * 4

    def test_special_tokens_are_the_pieces_behind_the_ids(self, tmp_path) -> None:  # noqa: ANN001
        vocabulary = Vocabulary.of(PIECES, tmp_path)
        found = special_tokens(text_side(pack=Pack(5, 4, 6, 9, "pack")), vocabulary)
        assert (found.cls, found.sep, found.pad, found.unk, found.mask) == ("##a", "a", "b", "[UNK]", None)
        for wrong in (Pack(10, 3, 0, 6, "p"), Pack(2, 3, -1, 6, "p")):
            with pytest.raises(VocabularyError, match="packs with id"):
                special_tokens(text_side(pack=wrong), vocabulary)

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b"a\n\nb", "line 2 is empty"),
            (b"a\nb\na", "line 3 repeats 'a' of line 1"),
            (b"", "is empty"),
            (b"a\n\xff", "line 2"),
        ],
    )
    def test_a_vocabulary_has_one_piece_a_line(self, data: bytes, said: str, tmp_path) -> None:  # noqa: ANN001
        path = tmp_path / "vocab.txt"
        path.write_bytes(data)
        with pytest.raises(VocabularyError, match=said):
            read_vocabulary(path)
        path.write_bytes(b"a\r\nb")
        assert read_vocabulary(path).pieces == ("a", "b")
