"""The zoo: implementations that nobody fitted to the reader. Those of the facts page are exact; others are exact or refused.

All of them take an hour: `make zoo`. The suite runs some of each kind, chosen for what they are made of.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import zoo
import zoo_models
import zoo_texts
from judging import EXACT, REFUSED, verdict
from zoo_base import World, quick, v1, v2
from zoo_crowd import CROWD, OTHER_CROWD
from zoo_fresh import FRESH, OTHER_FRESH
from zoo_more import MORE_TEXTS
from zoo_others import OTHER
from zoo_strange import OTHER_VIEWS
from zoo_strangers import OTHER_STRANGERS, STRANGERS
from zoo_text import RULE
from zoo_views import VIEWS
from zoo_witness import NAMED, Witness

# Rules of batches show in batches of one and two only, those of new characters in none of the texts.
BATCH_RULES = {"batch-different", "batch-case", "batch-over-64", "batch-over-1000", "batch-chosen", "second-text"} | {
    "majority",
    "most-common-script",
    "han-rewritten",
}
SHOWN_RIGHT = (
    *("text-google", "text-group-of-han", "text-ragged-map", "encoder-fused", "form-hub-like-legacy"),
    *(
        "text-fast",
        "view-shuffled-constants",
        "school-columns",
        "school-time-first",
        "school-pooler-of-all",
        "mixed-20",
    ),
    *("stranger-hand-all-in-map", "stranger-scripts-rolled"),
    *("kept-split-outputs", "kept-text-by-text", "kept-words-sparse", "hands-low-rank", "hands-output-by-head"),
    *("newcomer-affine", "newcomer-scaled", "newcomer-broadcasting", "newcomer-words-spare"),
    *("arrival-blocks", "arrival-chunks", "arrival-flat-parameters", "arrival-queries-in-blocks", "newcomer-ragged"),
    *("arrival-flash", "settler-packed-again", "settler-eager-words-mapped", "settler-eager-words-by-place"),
    *("settler-eager-three-lookups", "settler-words-last"),
    *("fresh-after-special", "fresh-file-with-offset", "fresh-file-read"),
    *("crowd-bytes-by-hand",),
    *("newcomer-words-ragged", "newcomer-words-packed", "arrival-normalize"),
    *(
        "newcomer-shorter",
        "arrival-pages",
        "arrival-channels-first",
        "house-scattered",
        "house-divided-last",
        "house-columns",
    ),
)
SHOWN_WRONG = (
    *("other-stranger-hand-window-2", "other-stranger-scripts-kana-with-han"),
    *("other-last-126", "other-han-plane-0", "other-view-shouting"),
    *("other-school-words-bounded", "other-school-bfloat16-norm"),
    *("other-settler-unknown-turned", "other-settler-blocks-bounded", "other-settler-last-block-left-out"),
    *("misfit-query-scaled-before-bias", "other-fresh-dog-unknown", "departure-words-known"),
)


@cache
def texts() -> list[str]:
    return zoo_texts.texts()


@cache
def ids_of(name: str) -> np.ndarray:
    """Return the ids that TensorFlow itself makes, int32 [texts, 128]."""
    with v1.Graph().as_default(), v1.Session(config=quick()) as session:
        raw = v1.placeholder(v2.string, [None])
        sides = {
            **RULE,
            **MORE_TEXTS,
            **VIEWS,
            **STRANGERS,
            **FRESH,
            **OTHER,
            **OTHER_VIEWS,
            **OTHER_STRANGERS,
            **OTHER_FRESH,
            **CROWD,
            **OTHER_CROWD,
        }
        ids = sides[name](raw, World())
        session.run(v1.tables_initializer())
        return session.run(ids, {raw: texts()})


def judged(name: str, folder: Path) -> tuple[tuple[str, str], Witness]:
    witness = zoo_models.write(folder / "model", zoo.ALL[name], texts())
    return verdict(folder / "model", folder / "out", witness, texts(), NAMED.get(name, "")), witness


@pytest.mark.slow
@pytest.mark.parametrize("name", [*RULE, *MORE_TEXTS, *VIEWS, *STRANGERS, *FRESH, *CROWD])
def test_all_text_sides_of_the_facts_page_agree_in_tensorflow(name: str) -> None:
    np.testing.assert_array_equal(ids_of(name), ids_of("plain"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", sorted({*OTHER, *OTHER_VIEWS, *OTHER_STRANGERS, *OTHER_FRESH, *OTHER_CROWD} - BATCH_RULES)
)
def test_every_other_text_side_differs_in_tensorflow(name: str) -> None:
    assert (ids_of(name) != ids_of("plain")).any()


def _must_be_exact(name: str, folder: Path) -> None:
    (found, why), _ = judged(name, folder)
    assert (found, why) == (EXACT, "")


def _must_be_exact_or_refused(name: str, folder: Path) -> None:
    (found, why), _ = judged(name, folder)
    assert found in (EXACT, REFUSED), why


@pytest.mark.parametrize("name", SHOWN_RIGHT)
def test_the_facts_page_is_exact(name: str, tmp_path: Path) -> None:
    _must_be_exact(name, tmp_path)


@pytest.mark.parametrize("name", SHOWN_WRONG)
def test_another_rule_is_exact_or_refused(name: str, tmp_path: Path) -> None:
    _must_be_exact_or_refused(name, tmp_path)


def test_half_precision_is_named(tmp_path: Path) -> None:
    (found, why), _ = judged("other-school-half-in-layer", tmp_path)
    assert (found, "computes in float16" in why) == (REFUSED, True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("norm-of-length-floor", "divide by the root of the variance and an epsilon"),
        ("unit-large-floor", "brings long rows to unit length, and not short ones"),
    ],
)
def test_a_floor_is_named(name: str, said: str, tmp_path: Path) -> None:
    (found, why), _ = judged(f"misfit-{name}", tmp_path)
    assert (found, said in why) == (REFUSED, True), why


def test_a_bound_by_characters_beside_one_by_bytes_is_named(tmp_path: Path) -> None:
    (found, why), _ = judged("other-crowd-characters-100", tmp_path)
    assert (found, "bounds words by their characters, as well as by bytes" in why) == (REFUSED, True), why


@pytest.mark.parametrize("way", ["short", "long"])
def test_ways_that_do_not_compute_the_same_are_named(way: str, tmp_path: Path) -> None:
    (found, why), _ = judged(f"other-house-{way}-way", tmp_path)
    assert (found, "at 'cond' do not compute the same" in why) == (REFUSED, True), why


def test_a_bound_on_scores_is_named(tmp_path: Path) -> None:
    (found, why), _ = judged("other-settler-scores-bounded", tmp_path)
    assert (found, "makes scores of which large ones become others" in why) == (REFUSED, True), why


def test_a_number_that_tells_how_many_texts_there_are_is_named(tmp_path: Path) -> None:
    (found, why), _ = judged("other-house-unit-of-batch", tmp_path)
    assert (found, "where a batch has 17 texts" in why) == (REFUSED, True), why


def test_scripts_that_part_nothing_are_named(tmp_path: Path) -> None:
    (found, why), _ = judged("other-stranger-scripts-kana-with-han", tmp_path)
    assert (found, "does not split texts where they change: of '⺀ぁ'" in why) == (REFUSED, True), why


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("digits-shared", "gives one number, "),
        ("second-text", "depends on its place in a batch"),
        ("majority", "where most of its characters are of one kind: "),
    ],
)
def test_what_texts_may_not_show_is_named(name: str, said: str, tmp_path: Path) -> None:
    (found, why), _ = judged(f"other-fresh-{name}", tmp_path)
    assert (found, said in why) == (REFUSED, True), why


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(zoo.RIGHT) - set(SHOWN_RIGHT)))
def test_every_model_of_the_facts_page_is_exact(name: str, tmp_path: Path) -> None:
    _must_be_exact(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(zoo.WRONG) - set(SHOWN_WRONG)))
def test_every_model_of_another_rule_is_exact_or_refused(name: str, tmp_path: Path) -> None:
    _must_be_exact_or_refused(name, tmp_path)
