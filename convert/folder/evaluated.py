"""The part of the card on retrieval: what `evaluate` measured of the very files that are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub2hf.folder.manifest import Manifest
from hub2hf.folder.ways import files_read, plain, template
from hub2hf.surfaces import title

TEMPLATE = "evaluated.md.jinja"
METRICS = {
    "forward": "accuracy, a text finds its translation",
    "backward": "accuracy, a translation finds its text",
    "mining": "F1 of margin-based mining",
}


def standing_evaluations(manifest: Manifest) -> list[Mapping[str, Any]]:
    """Return the evaluations whose files are still there as they were."""
    return [one for one in manifest.evaluations if one["files"] == files_read(manifest, one["way"])]


def evaluation_results(manifest: Manifest) -> list[Any]:
    """Return the means over languages in the form of the Hub's `model-index`, with the hash of the pairs as revision."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="sentence-similarity",
            dataset_type="pairs of translations",
            dataset_name=one["data"],
            dataset_revision=one["sha256"],
            dataset_args={"languages": len(one["languages"])},
            metric_type="f1" if metric == "mining" else "accuracy",
            metric_name=f"{words}, mean over languages",
            metric_value=round(one["mean"][metric], 4),
        )
        for one in standing_evaluations(manifest)
        for metric, words in METRICS.items()
    ]


def evaluated_tables(manifest: Manifest) -> str:
    """Return a table of each evaluation, Markdown; "" where there are none."""
    found = standing_evaluations(manifest)
    if not found:
        return ""
    shown = [{**one, "data": plain(one["data"]), "way": plain(title(one["way"]))} for one in found]
    text: str = template(TEMPLATE).render(evaluations=shown)
    return text
