"""The zoo's register: `RIGHT` compute the facts page; `WRONG` something else, or keep their weights as nobody expects: they
must be exact for themselves or refused."""

from __future__ import annotations

from dataclasses import replace

import zoo_encoders as z
from zoo_base import v2
from zoo_crowd import CROWD, OTHER_CROWD, keras_lookup
from zoo_departures import DEPARTURES
from zoo_encoders import Encoder
from zoo_fresh import FRESH, OTHER_FRESH
from zoo_guests import GUESTS
from zoo_hands import HANDS, OTHER_HANDS
from zoo_houses import EAGER_HOUSES, HOUSES, OLD_HOUSES, OTHER_HOUSES
from zoo_kept import KEPT, OTHER_SCHOOLS
from zoo_later import LATER, LATER_FORMS, OTHER_LATER
from zoo_minds import MINDS
from zoo_misfits import MISFITS
from zoo_mixed import MIXED, MIXED_OTHER
from zoo_models import Model, called, google_encoder, longest, query_of_first, resource
from zoo_more import MORE_ENCODERS, MORE_TEXTS
from zoo_newcomers import NEWCOMERS
from zoo_others import OTHER
from zoo_schools import SCHOOLS
from zoo_settlers import EAGER_SETTLERS, OTHER_SETTLERS, SETTLERS
from zoo_strange import OTHER_VIEWS
from zoo_strangers import OTHER_STRANGERS, STRANGERS
from zoo_text import RULE, Text
from zoo_twists import TWISTED
from zoo_views import VIEWS
from zoo_wholes import ARRIVALS, KERAS

PLAIN = Text()
fused = {"attention": z.attention_fused, "dense": z.dense_tensordot}


def plain(**changes: object) -> Model:
    """Return a model of the plainest text side."""
    encoder = changes.pop("encoder", google_encoder)
    return replace(Model(PLAIN, encoder), **changes)  # type: ignore[arg-type]


ENCODERS = {
    "google": google_encoder,
    "one-hot": Encoder(words=z.words_one_hot, types=z.types_gathered, positions=z.positions_one_hot),
    "longest": Encoder(cut=longest, mask=z.mask_sequence, words=z.words_lookup),
    "fused": Encoder(attention=z.attention_fused, norm=z.norm_difference, activation=z.gelu_cube),
    "unstacked": Encoder(attention=z.attention_unstacked, mask=z.mask_where, types=z.types_row, unit=z.unit_norm),
    "tensordot": Encoder(dense=z.dense_tensordot, mask=z.mask_minimum, positions=z.positions_gathered),
    "transposed": Encoder(dense=z.dense_transposed, norm=z.norm_sums, unit=z.unit_by_hand),
    "einsum": Encoder(dense=z.dense_einsum, attention=z.attention_einsum, first=z.first_squeezed),
    "broadcast": Encoder(
        dense=z.dense_broadcast, first=z.first_gathered, activation=z.gelu_library, pooler=z.gelu_library
    ),
    "convolved": Encoder(dense=z.dense_convolved),
    "norm-by-hand": Encoder(norm=z.norm_by_hand, activation=z.gelu_cube, pooler=z.gelu_cube),
    "norm-sums": Encoder(norm=z.norm_sums, positions=z.positions_counted),
    "norm-fused": Encoder(norm=z.norm_fused),
    "norm-fused-moved": Encoder(norm=z.norm_fused_moved, dense=z.dense_tensordot),
    "head-by-head": Encoder(attention=z.attention_head_by_head, mask=z.mask_where),
    "folded": Encoder(attention=z.attention_folded, words=z.words_lookup, unit=z.unit_norm),
    "gelu-sigmoid": Encoder(activation=z.gelu_sigmoid, pooler=z.gelu_sigmoid),
    "query-of-first": Encoder(layer=query_of_first),
    "types-row": Encoder(types=z.types_row, positions=z.positions_one_hot, mask=z.mask_sequence),
}

FORMS = {
    "legacy": plain(text=RULE["plain-mapped"], legacy=True),
    "legacy-google": Model(RULE["google"], google_encoder, legacy=True),
    "legacy-word-by-word": Model(RULE["word-by-word"], google_encoder, legacy=True),
    "legacy-substr": Model(RULE["substr"], google_encoder, legacy=True),
    "legacy-all-in-array": Model(RULE["all-in-array"], google_encoder, legacy=True),
    "hub-like": Model(RULE["google"], google_encoder, form="hub-like"),
    "hub-like-legacy": Model(RULE["index-from-file"], ENCODERS["tensordot"], form="hub-like", legacy=True),
    "simple-save": Model(RULE["google"], google_encoder, form="simple", signature="serving_default"),
    "resource": plain(world=resource),
    "frozen": plain(world={"frozen": True}),
    "frozen-google": Model(RULE["constants"], google_encoder, world={"frozen": True}),
    "anonymous": plain(world={"anonymous": True, "resource": True}),
    "other-scope": plain(world={"scope": "module/a/bert/"}),
    "no-scope": plain(world={"scope": ""}),
    "called": plain(world=resource, encoder=Encoder(layers=called)),
    "dropout": plain(drop=True),
    "dropout-legacy": plain(drop=True, legacy=True),
    "other-names": plain(signature="serving_default", key="inputs", output="sentence_embedding"),
    "ids-too": plain(extra=lambda ids, embedding: {"input_word_ids": ids}),
    "two-outputs": plain(extra=lambda ids, embedding: {"pooled": v2.identity(embedding)}),
    "two-unlike": plain(extra=lambda ids, embedding: {"other": embedding * 2.0 + 1.0}),
    "v2": Model(PLAIN, Encoder(), form="v2", output="default"),
    "v2-google": Model(RULE["google"], google_encoder, form="v2"),
    "v2-modern": Model(RULE["trimmed"], ENCODERS["einsum"], form="v2"),
    "v2-anonymous": Model(PLAIN, ENCODERS["fused"], form="v2", world={"scope": "model/transformer/"}),
}

HUB = {
    "hub": Model(RULE["google"], google_encoder, form="hub"),
    "hub-mapped": Model(RULE["plain-mapped"], ENCODERS["tensordot"], form="hub"),
    "hub-index": Model(RULE["index-from-file"], google_encoder, form="hub"),
}

RIGHT: dict[str, Model] = {
    **{"text-" + name: Model(text, google_encoder) for name, text in {**RULE, **MORE_TEXTS, **LATER}.items()},
    **{"encoder-" + name: plain(encoder=encoder) for name, encoder in {**ENCODERS, **MORE_ENCODERS, **MINDS}.items()},
    **{"form-" + name: model for name, model in {**FORMS, **LATER_FORMS}.items()},
    **{"view-" + name: Model(text, google_encoder) for name, text in VIEWS.items()},
    **{"stranger-" + name: Model(text, google_encoder) for name, text in STRANGERS.items()},
    **{"fresh-" + name: Model(text, google_encoder) for name, text in FRESH.items()},
    **{"school-" + name: plain(encoder=encoder) for name, encoder in SCHOOLS.items()},
    **{"kept-" + name: plain(encoder=encoder) for name, encoder in KEPT.items()},
    **{"hands-" + name: plain(encoder=encoder) for name, encoder in HANDS.items()},
    **{"newcomer-" + name: plain(encoder=encoder) for name, encoder in NEWCOMERS.items()},
    **{"house-" + name: plain(encoder=encoder) for name, encoder in HOUSES.items()},
    **{"house-" + name: Model(PLAIN, encoder, form="v2") for name, encoder in EAGER_HOUSES.items()},
    **{"settler-" + name: plain(encoder=encoder) for name, encoder in SETTLERS.items()},
    **{"settler-" + name: Model(PLAIN, encoder, form="v2") for name, encoder in EAGER_SETTLERS.items()},
    **{"arrival-" + name: plain(encoder=encoder) for name, encoder in {**ARRIVALS, **GUESTS}.items()},
    **{"crowd-" + name: Model(text, google_encoder) for name, text in CROWD.items()},
    **MIXED,
}

WRONG: dict[str, Model] = {
    **{"other-" + name: Model(text, google_encoder) for name, text in OTHER.items()},
    **{"other-" + name: model for name, model in OTHER_LATER.items()},
    **{"twist-" + name: plain(encoder=encoder) for name, encoder in TWISTED.items()},
    **{"other-view-" + name: Model(text, google_encoder) for name, text in OTHER_VIEWS.items()},
    **{"other-stranger-" + name: Model(text, google_encoder) for name, text in OTHER_STRANGERS.items()},
    **{"other-fresh-" + name: Model(text, google_encoder) for name, text in OTHER_FRESH.items()},
    **{"other-school-" + name: plain(encoder=encoder) for name, encoder in OTHER_SCHOOLS.items()},
    **{"other-hands-" + name: plain(encoder=encoder) for name, encoder in OTHER_HANDS.items()},
    **{"misfit-" + name: plain(encoder=encoder) for name, encoder in MISFITS.items()},
    **{"departure-" + name: plain(encoder=encoder) for name, encoder in DEPARTURES.items()},
    **{"other-crowd-" + name: Model(text, google_encoder) for name, text in OTHER_CROWD.items()},
    **{"other-house-" + name: plain(encoder=encoder) for name, encoder in OTHER_HOUSES.items()},
    **{"other-settler-" + name: plain(encoder=encoder) for name, encoder in OTHER_SETTLERS.items()},
    **MIXED_OTHER,
}

for name in ("nested", "structured"):
    RIGHT["crowd-" + name] = replace(RIGHT["crowd-" + name], form="v2")

if v2.keras.__version__.startswith("3."):
    RIGHT["arrival-keras"] = Model(PLAIN, KERAS, form="v2")
    RIGHT["crowd-keras-lookup"] = Model(keras_lookup, google_encoder, form="v2")

# They count characters. TF.Text knows 4,826 Han characters that TensorFlow's `unicode_script` does not, so that words mix
# both, and of these they make another rule than the facts page: one that no pattern expresses.
for name in ("text-script-of-word", "stranger-han-half", "crowd-most-are-han"):
    WRONG[name] = RIGHT.pop(name)

ALL: dict[str, Model] = {**RIGHT, **WRONG}

# With the exporter of hub modules and `tf.layers`, which TensorFlow 2.21 has no more.
OLD: dict[str, Model] = {
    **RIGHT,
    **{"form-" + name: model for name, model in HUB.items()},
    **{"house-" + name: plain(encoder=encoder) for name, encoder in OLD_HOUSES.items()},
    **WRONG,
}
