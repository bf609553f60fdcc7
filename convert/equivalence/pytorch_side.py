"""The ways people load a converted folder, each from texts to ids and unit embeddings. Needs the extra `torch`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer, BertModel, BertTokenizerFast
from transformers.utils import logging

# Sentences of like length go through the model together, so that little of a batch is padding.
BATCH = 32


@dataclass(frozen=True)
class Embedded:
    """What one way of loading makes of some texts.

    Attributes:
        ids: the ids of each text, without padding.
        embeddings: float32 [texts, hidden], of unit length.
    """

    ids: list[list[int]]
    embeddings: np.ndarray


class Pooled:
    """A tokenizer and a model whose `pooler_output` is the embedding."""

    def __init__(self, tokenizer: Any, model: Any) -> None:
        self.tokenizer = tokenizer
        self.model = model.eval()

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return ids and unit embeddings of `texts`, cut at the length that the folder states."""
        ids, stages = self._run(texts, stages=False)
        return Embedded(ids, _unit(stages["embedding"]))

    def stages(self, texts: Sequence[str]) -> Mapping[str, np.ndarray]:
        """Return the first token after every stage, float32 [texts, hidden], by the names of `reference.stages`."""
        return self._run(texts, stages=True)[1]

    def _run(self, texts: Sequence[str], *, stages: bool) -> tuple[list[list[int]], dict[str, np.ndarray]]:
        rows = self.tokenizer(list(texts), truncation=True)["input_ids"]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        batches = [[rows[i] for i in order[start : start + BATCH]] for start in range(0, len(order), BATCH)]
        parts: dict[str, list[np.ndarray]] = {}
        with _workers() as workers:
            for found in workers.map(lambda batch: self._forward(batch, stages=stages), batches):
                for name, value in found.items():
                    parts.setdefault(name, []).append(value)
        back = np.argsort(order)
        return rows, {name: np.concatenate(values)[back] for name, values in parts.items()}

    def _forward(self, rows: list[list[int]], *, stages: bool) -> dict[str, np.ndarray]:
        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), self.tokenizer.pad_token_id or 0)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        with torch.inference_mode():
            outputs = self.model(input_ids=ids, attention_mask=mask, output_hidden_states=stages)
        found = {}
        if stages:
            first = [hidden[:, 0].numpy() for hidden in outputs.hidden_states]
            found = {"embeddings": first[0]} | {f"layer {i}": value for i, value in enumerate(first[1:])}
        return found | {"embedding": outputs.pooler_output.numpy()}


@contextmanager
def _workers() -> Iterator[ThreadPoolExecutor]:
    """Yield a worker for each thread of PyTorch's, with one thread of its own.

    The operations of a small batch are short. Threads that share each of them wait for each other at its end, and lose
    most of their speed that way where the machine has other work; workers that share nothing lose what that work takes.
    """
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as workers:
            yield workers
    finally:
        torch.set_num_threads(threads)


class Stock:
    """sentence-transformers, without trust_remote_code."""

    def __init__(self, folder: Path) -> None:
        self.model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return ids and unit embeddings of `texts`."""
        tokenize = getattr(self.model, "preprocess", None) or self.model.tokenize  # the name before version 5.5
        features = tokenize(list(texts))
        masks = features["attention_mask"].bool()
        ids = [row[mask].tolist() for row, mask in zip(features["input_ids"], masks, strict=True)]
        return Embedded(ids, _unit(np.asarray(self.model.encode(list(texts), batch_size=BATCH), np.float32)))


def _unit(embeddings: np.ndarray) -> np.ndarray:
    return np.asarray(embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True))


def automodel(folder: Path, trusted: bool) -> Pooled:
    """Load through `AutoTokenizer` and `AutoModel`, with the model class that the folder ships where it is trusted."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return Pooled(tokenizer, AutoModel.from_pretrained(folder, trust_remote_code=trusted))


def bert(folder: Path, trusted: bool) -> Pooled:
    """Load through `AutoTokenizer` and the plain `BertModel`."""
    return Pooled(AutoTokenizer.from_pretrained(folder), BertModel.from_pretrained(folder))


def card(folder: Path, trusted: bool) -> Pooled:
    """Load through `BertTokenizerFast` and `BertModel`, as the snippet of the published card does."""
    return Pooled(BertTokenizerFast.from_pretrained(folder), BertModel.from_pretrained(folder))


SURFACES: dict[str, Callable[[Path, bool], Pooled | Stock]] = {
    "automodel": automodel,
    "sentence-transformers": lambda folder, trusted: Stock(folder),
    "bert": bert,
    "card": card,
}


def not_a_number(loaded: Pooled | Stock) -> str | None:
    """Return the name of a parameter that holds NaN or infinity, if there is one."""
    parameters = loaded.model.named_parameters()
    return next((name for name, value in parameters if not torch.isfinite(value).all()), None)


def quiet() -> None:
    """Keep transformers from drawing bars and giving advice."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()


def embed(surface: str, folder: Path, texts: Sequence[str], *, trusted: bool = True) -> Embedded:
    """Load `folder` as `surface` does, quietly, and embed `texts`."""
    quiet()
    return SURFACES[surface](folder, trusted).embed(texts)
