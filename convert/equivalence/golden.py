"""Ids and embeddings recorded from TensorFlow once, for machines without it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.equivalence.sentences import Sentence
from convert.errors import SourceError


@dataclass(frozen=True)
class Golden:
    """What TensorFlow made of some sentences.

    Attributes:
        tensorflow: its version.
        fingerprint: of the SavedModel, as in `hub2hf.json`.
        sentences: language and text of each.
        ids: the ids of each, without padding.
        embeddings: float32 [sentences, hidden].
    """

    tensorflow: str
    fingerprint: str
    sentences: list[Sentence]
    ids: list[list[int]]
    embeddings: np.ndarray

    def save(self, path: Path) -> None:
        """Write it as JSON; float32 numbers as the shortest decimals that are the same float32."""
        rows: Sequence[dict[str, object]] = [
            {"language": s.language, "text": s.text, "ids": ids, "embedding": [float(str(v)) for v in row]}
            for s, ids, row in zip(self.sentences, self.ids, self.embeddings, strict=True)
        ]
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        head = json.dumps({"tensorflow": self.tensorflow, "fingerprint": self.fingerprint})[:-1]
        path.write_text(f'{head}, "sentences": [\n{lines}\n]}}\n', encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Golden:
        """Read what `save` wrote.

        Raises:
            SourceError: it is not there or is damaged.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            rows = content["sentences"]
            return cls(
                str(content["tensorflow"]),
                str(content["fingerprint"]),
                [Sentence(row["language"], row["text"]) for row in rows],
                [[int(i) for i in row["ids"]] for row in rows],
                np.asarray([row["embedding"] for row in rows], np.float32),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SourceError(f"{path} is not a recording: {error}.", "Record it again.") from error
