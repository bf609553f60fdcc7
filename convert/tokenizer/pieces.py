r"""A text side that a SentencePiece model cuts, as a `tokenizer.json` of stock parts.

- What the graph does to characters, then the map of the model (`charsmaps`), then white space: runs of spaces are one, none
  at the ends, one in front, and each is written as U+2581.
- `Unigram` cuts as sentencepiece does, but adds scores in double precision, where sentencepiece rounds each sum to float32:
  of two cuts that are equally likely to within that, it may take the other (`SentencePiece.undecided`). No scores make up
  for it: what float32 rounds depends on what stands before, and sentencepiece cuts the same word in both ways.
- `BPE` joins the pair of the first rank, sentencepiece the one that makes the best piece: so pairs are ranked by that.
- To the library every piece of a unigram model may be found in a text, to sentencepiece no control piece, nor the unknown
  one. The name of such a piece is parted before, at a place that no other piece stretches over. For speed a text is parted
  before each space too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from hub2hf.blueprint.text import NO_START, CaseFold, Normalize, Pack, ReplacePattern, TextBlueprint
from hub2hf.errors import REPORT, GraphError, VocabularyError
from hub2hf.interpreter.pieces import BONUS
from hub2hf.savedmodel.sentencepiece import (
    BPE,
    BYTE,
    CONTROL,
    NORMAL,
    SPACE,
    UNIGRAM,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    PieceModel,
    read_pieces,
)
from hub2hf.unicode.codepoints import CodePoints, union
from hub2hf.unicode.folding import case_folded, decomposed, folded_characters, mark_classes
from hub2hf.unicode.re2 import parse

from .characters import character_steps, characters_in, characters_of, map_all
from .charsmaps import charsmap_steps, mapping_of
from .config import common_config, write_json
from .engine import RESERVED, CharacterMap
from .marks import stand_ins
from .oniguruma import Oniguruma, normalizer

CONTROLS = "\x01\x02\x03"  # the first two stand for other things here: texts have the third in their place
SPECIAL = {"[MASK]": "mask_token", "<mask>": "mask_token"}


def read_model(text: TextBlueprint) -> PieceModel:
    """Return the SentencePiece model of a text side.

    Raises:
        VocabularyError: it cannot be read.
    """
    try:
        data = text.vocabulary.read_bytes()
    except OSError as error:
        raise VocabularyError(f"{text.vocabulary}: {error.strerror}.", "It is part of the model.") from error
    return read_pieces(data, text.vocabulary_evidence)


def piece_tokenizer(text: TextBlueprint, model: PieceModel) -> Tokenizer:
    """Return the tokenizer.

    Raises:
        GraphError: the graph or the model does something that the library cannot do; names it.
    """
    evidence = text.vocabulary_evidence
    _check(model, evidence)
    found = Tokenizer(_merging(model) if model.kind == BPE else _likeliest(model, evidence))
    found.normalizer = normalizers.Sequence([*_character_steps(text, model), *_space_steps(model)])
    splits = _splits(model, _unseen(text, model), evidence)
    if splits:
        found.pre_tokenizer = pre_tokenizers.Sequence(splits)
    _pack(found, text.pack, model)
    return found


def _check(model: PieceModel, evidence: str) -> None:
    """Refuse what is in no model that is known, rather than compile it unseen."""
    strange = {
        "it is no unigram and no BPE model": model.kind not in (UNIGRAM, BPE),
        "it writes spaces behind words": model.treat_whitespace_as_suffix,
        "it does not escape spaces": not model.escape_whitespaces,
        "it keeps all white space": not model.remove_extra_whitespaces,
        "it has no piece for a space": SPACE not in model.of_kind(NORMAL),
    }
    for what, holds in strange.items():
        if holds:
            raise GraphError(f"The SentencePiece model of node '{evidence}' cannot be converted: {what}.", REPORT)
    chosen = {c for piece in model.of_kind(USER_DEFINED) for c in piece}
    met = (
        next((key for key in mapping_of(model.charsmap, evidence) if chosen.intersection(key)), None)
        if chosen
        else None
    )
    if met is not None or SPACE in chosen:
        raise GraphError(
            f"The normalizer of node '{evidence}' changes {met!r}, of which a piece that it must keep is made.", REPORT
        )


def _likeliest(model: PieceModel, evidence: str) -> models.Model:
    return models.Unigram(_scored(model, evidence), model.unknown, model.byte_fallback)


def _merging(model: PieceModel) -> models.Model:
    """Return the model that joins neighbours: every way to make a piece of two others, those of the best piece first."""
    normal = model.of_kind(NORMAL)
    ranked = sorted(normal, key=lambda piece: -model.pieces[normal[piece]].score)
    halves = ((piece[:at], piece[at:]) for piece in ranked for at in range(1, len(piece)))
    return models.BPE(
        model.ids,
        [pair for pair in halves if normal.keys() >= set(pair)],
        unk_token=model.pieces[model.unknown].text,
        fuse_unk=True,
        byte_fallback=model.byte_fallback,
    )


def _scored(model: PieceModel, evidence: str) -> list[tuple[str, float]]:
    """Return the pieces with the scores that sentencepiece reckons with."""
    lowest, highest = model.scores
    kept = (NORMAL, UNKNOWN, CONTROL, BYTE, UNUSED)
    found = []
    for piece in model.pieces:
        score = piece.score if piece.kind == NORMAL else lowest
        if piece.kind not in kept:
            score = len(piece.text.encode()) * highest - BONUS
        if score < lowest:
            raise GraphError(
                f"The piece {piece.text!r} of node '{evidence}' is less likely than all others: the library would take an "
                "unknown one for likelier than it is.",
                REPORT,
            )
        found.append((piece.text, score))
    return found


def _character_steps(text: TextBlueprint, model: PieceModel) -> list[normalizers.Normalizer]:
    """Return what is done to characters: by the graph, and by the map of the model."""
    evidence = text.vocabulary_evidence
    changes = [op for op in text.operations if isinstance(op, CaseFold | Normalize | ReplacePattern)]
    mapped = charsmap_steps(model.charsmap, evidence)
    if not changes and not mapped:
        return []
    mapping = mapping_of(model.charsmap, evidence)
    fates = {mapping.get(c, "?" if all(c not in piece.text for piece in model.pieces) else c) for c in CONTROLS}
    if len(fates) > 1 or (fates == {"?"} and model.byte_fallback):
        raise GraphError(f"The normalizer of node '{evidence}' tells control characters apart.", REPORT)
    folded = _folding(changes) if changes and isinstance(changes[-1], CaseFold) else None
    before = folded if folded is not None else [normalizer(step) for step in character_steps(changes, Oniguruma())]
    return [normalizers.Replace(Regex(f"[{CONTROLS[:2]}]"), CONTROLS[2]), *before, *mapped]


def _folding(changes: Sequence[CaseFold | Normalize | ReplacePattern]) -> list[normalizers.Normalizer]:
    """Case folding that is not decomposed after: NFD, the folding's own map, its NFC."""
    deleting: list[CodePoints] = []
    for op in changes[:-1]:
        codes = (
            characters_of(parse(op.pattern, op.evidence)) if isinstance(op, ReplacePattern) and not op.rewrite else None
        )
        if codes is not None:
            deleting.append(codes)
        elif not isinstance(op, Normalize) or op.form != "NFD" or op is not changes[0]:
            raise GraphError(f"Node '{op.evidence}' changes characters before case is folded.", REPORT)
    gone, apart = union(deleting), isinstance(changes[0], Normalize)

    def stripped(text: str) -> str:
        return "".join(c for c in (map_all(decomposed, text) if apart else text) if ord(c) not in gone)

    marks = mark_classes().keys()
    deleted = {mark for mark in marks if not stripped(mark)}
    through = stand_ins(marks - deleted, deleted)

    def image(character: str) -> str:
        found = map_all(decomposed, map_all(case_folded, stripped(character)))
        return "".join(through.get(c, c) for c in found)

    changed = {*folded_characters(), *through, *characters_in(gone)}
    mapping = {c: target for c in changed if (target := image(c)) != c and c not in RESERVED}
    back = {other: mark for mark, other in through.items()}
    return [*map(normalizer, Oniguruma().mapped(CharacterMap(mapping, back))), normalizers.NFC()]


def _space_steps(model: PieceModel) -> list[normalizers.Normalizer]:
    """Of a run of spaces one stays, none at the ends; what is left is escaped, with one in front."""
    steps: list[normalizers.Normalizer] = [
        normalizers.Replace(Regex(rf"[ {SPACE}]+\z|\A +|(?<= ) +"), ""),
        normalizers.Replace(" ", SPACE),
    ]
    return [*steps, normalizers.Prepend(SPACE)] if model.add_dummy_prefix else steps


def _unseen(text: TextBlueprint, model: PieceModel) -> Callable[[str], bool]:
    """Return a function that tells of a character whether no text holds it any more when it is cut."""
    mapping = mapping_of(model.charsmap, text.vocabulary_evidence)
    made = {c for target in mapping.values() for c in target}
    folds = any(isinstance(op, CaseFold) for op in text.operations)
    return lambda c: c not in made and (mapping.get(c, c) != c or (folds and case_folded(c) != c))


def _splits(model: PieceModel, unseen: Callable[[str], bool], evidence: str) -> list[pre_tokenizers.PreTokenizer]:
    """Part a text where no piece stretches over: before each space, and inside the names of pieces that it must not find."""
    matched = model.of_kind(NORMAL, USER_DEFINED)
    beside = {text[i : i + 2] for text in matched for i in range(len(text) - 1)}
    splits: list[pre_tokenizers.PreTokenizer] = []
    if all(SPACE not in text[1:] for text in matched):
        splits.append(pre_tokenizers.Split(SPACE, "merged_with_next"))
    cuts = []
    for name in model.of_kind(UNKNOWN, CONTROL, BYTE, UNUSED) if model.kind == UNIGRAM else ():
        places = [
            i
            for i in range(1, len(name))
            if name[i - 1 : i + 1] not in beside and (name[i - 1] in matched or name[i] in matched)
        ]
        if any(map(unseen, name)):
            continue
        if not places:
            raise GraphError(
                f"To the tokenizers library the text {name!r} is the piece of that name; to the SentencePiece model of node "
                f"'{evidence}' it is not.",
                REPORT,
            )
        cuts.append(f"{_quoted(name[: places[0]])}(?={_quoted(name[places[0] :])})")
    if cuts:
        splits.append(pre_tokenizers.Split(Regex("|".join(dict.fromkeys(cuts))), "merged_with_previous"))
    return splits


def _quoted(text: str) -> str:
    return "".join(f"\\x{{{ord(c):X}}}" for c in text)


def _pack(tokenizer: Tokenizer, pack: Pack, model: PieceModel) -> None:
    """The ids around the pieces that fit. Padding is left to the caller, as usual in transformers."""
    start, end, _ = special_pieces(pack, model)
    for token in (start, end):
        if token is not None and any(c in token for c in " :$"):
            raise VocabularyError(f"The special token {token!r} cannot stand in a template.", REPORT)
    head = f"{start}:0 " if start is not None else ""
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{head}$A:0 {end}:0",
        pair=f"{head}$A:0 {end}:0 $B:1 {end}:1",
        special_tokens=[(name, model.ids[name]) for name in dict.fromkeys((start, end)) if name is not None],
    )
    tokenizer.enable_truncation(pack.max_length)


def special_pieces(pack: Pack, model: PieceModel) -> tuple[str | None, str, str]:
    """Return the pieces of the start, the end and the padding.

    Raises:
        VocabularyError: the model lacks one.
    """
    for number in (pack.start_id, pack.end_id, pack.pad_id):
        if number != NO_START and not 0 <= number < len(model.pieces):
            raise VocabularyError(
                f"The SentencePiece model has no piece {number}, which {pack.evidence} packs with.", REPORT
            )
    start = None if pack.start_id == NO_START else model.pieces[pack.start_id].text
    return start, model.pieces[pack.end_id].text, model.pieces[pack.pad_id].text


def piece_files(text: TextBlueprint, rows: int, folder: Path, inputs: Sequence[str]) -> None:
    """Write `tokenizer.json`, the model itself, `tokenizer_config.json`, `special_tokens_map.json` into `folder`.

    Args:
        text: the text side.
        rows: of the word embeddings, of which some may stand behind those of all pieces.
        folder: an existing folder.
        inputs: what the model takes.

    Raises:
        GraphError, VocabularyError: see `piece_tokenizer`.
    """
    model = read_model(text)
    if len(model.pieces) > rows:
        raise VocabularyError(
            f"{text.vocabulary} has {len(model.pieces)} pieces for {rows} word embeddings.",
            "One of the two is of another model or incomplete; fetch the model again.",
        )
    tokens = special_tokens(text, model)
    (folder / "tokenizer.json").write_text(
        piece_tokenizer(text, model).to_str(pretty=True) + "\n", encoding="utf-8", newline="\n"
    )
    (folder / text.vocabulary.name).write_bytes(text.vocabulary.read_bytes())
    write_json({**common_config(text.pack, inputs), **tokens}, folder / "tokenizer_config.json")
    write_json(tokens, folder / "special_tokens_map.json")


def special_tokens(text: TextBlueprint, model: PieceModel) -> dict[str, str]:
    """Return the pieces with a role, as transformers names it: BERT's names where a start id is put, else T5's."""
    start, end, pad = special_pieces(text.pack, model)
    ends = {"eos_token": end} if start is None else {"cls_token": start, "sep_token": end}
    masks = {role: name for name, role in SPECIAL.items() if name in model.ids}
    return {**ends, "pad_token": pad, "unk_token": model.pieces[model.unknown].text, **masks}
