"""An Apache Beam pipeline that embeds with a module of TensorFlow Hub, and the same one with the converted folder.

Run: python scripts/beam.py SOURCE FOLDER   (`make beam` makes both, in an environment that has Beam)
Both run on Beam's DirectRunner over the project's sentences of 109 languages and the traps, as MLTransform writes and reads
its artifacts. What changes from the one to the other are the lines that the folder's card gives, read from it. Beam calls
the module, as one can call those of TensorFlow Hub; of a SavedModel that has signatures only, such as lealla-mini, a
callable copy is made first. Exit code 1 where a vector differs by more than the tolerance of exact ways.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.ml.transforms.base import MLTransform
from apache_beam.ml.transforms.embeddings.tensorflow_hub import TensorflowHubTextEmbeddings
from rich.console import Console
from rich.progress import track

from hub2hf.equivalence.sentences import Sentence, language_sentences, trap_sentences
from hub2hf.proof import TRAPS

LIMIT = 2e-6  # of unit embeddings in float32, as configs/tolerances.toml has it of exact ways


def embedded(sentences: Sequence[Sentence], transform: Callable[[], Any]) -> np.ndarray:
    """Return what a pipeline makes of sentences, float32 [sentences, hidden], in their order.

    Args:
        sentences: of which each element of the pipeline has the text and the number.
        transform: makes the embedding transform, of the column `text`.
    """
    rows = [{"text": sentence.text, "number": number} for number, sentence in enumerate(sentences)]
    with tempfile.TemporaryDirectory() as folder:
        work, artifacts = Path(folder), Path(folder) / "artifacts"
        artifacts.mkdir()
        with beam.Pipeline(runner="DirectRunner") as pipeline:
            _ = (
                pipeline
                | beam.Create(rows)
                | MLTransform(write_artifact_location=str(artifacts)).with_transform(transform())
                | beam.Map(lambda row: f"{_number(row['number'])}\t{' '.join(repr(float(x)) for x in row['text'])}")
                | beam.io.WriteToText(str(work / "rows"))
            )
        lines = [line for path in sorted(work.glob("rows*")) for line in path.read_text("utf-8").splitlines()]
    found = {int(number): vector.split() for number, vector in (line.split("\t") for line in lines)}
    return np.array([found[number] for number in range(len(sentences))], np.float32)


def callable_module(source: Path, work: Path) -> Path:
    """Return a SavedModel that can be called with texts, string [batch], for float32 [batch, hidden].

    Args:
        source: it, or one whose only signature does that.
        work: an empty folder for the copy of the latter.
    """
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  (its operations)

    loaded = tf.saved_model.load(str(source))
    if callable(loaded):
        return source
    (serve,) = loaded.signatures.values()
    (name,) = serve.structured_input_signature[1]
    (output,) = serve.structured_outputs

    class TextModule(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = loaded

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, texts: Any) -> Any:
            return serve(**{name: texts})[output]

    tf.saved_model.save(TextModule(), str(work))
    return work


def recipe(folder: Path) -> str:
    """Return the lines of Python that the card of a folder gives for such a pipeline: they make `embed`."""
    diff = (folder / "README.md").read_text("utf-8").partition("```diff\n")[2].partition("```")[0]
    return "\n".join(line[1:] for line in diff.splitlines() if line.startswith("+"))


def by_recipe(folder: Path) -> Any:
    """Return the transform of that recipe."""
    names: dict[str, Any] = {}
    exec(recipe(folder), names)
    return names["embed"]


def _number(value: Any) -> int:
    """Return the number of a row, which MLTransform may have put into an array."""
    return int(np.asarray(value).ravel()[0])


def main() -> int:
    """Run both pipelines; return 1 where they differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    sentences = [*language_sentences(), *trap_sentences()]
    with tempfile.TemporaryDirectory() as work:
        module = str(callable_module(arguments.source.resolve(), Path(work)))
        ways: list[Callable[[], Any]] = [
            lambda: TensorflowHubTextEmbeddings(columns=["text"], hub_url=module),
            lambda: by_recipe(Path()),
        ]
        with contextlib.chdir(arguments.folder):  # which its card calls "."
            before, after = (
                embedded(sentences, way) for way in track(ways, description="pipelines", console=Console(stderr=True))
            )
    apart = np.abs(before - after).max(axis=1)
    worst = int(apart.argmax())
    languages = {sentence.language for sentence in sentences} - {TRAPS}
    print(
        f"Apache Beam {beam.__version__}: {len(sentences)} texts, {len(languages)} languages and the traps, "
        f"{before.shape[1]} numbers each; largest difference {apart[worst]:.1e} ({sentences[worst].language})"
    )
    return 0 if apart[worst] <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
