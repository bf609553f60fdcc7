"""Ways of loading through transformers: `AutoModel`, and the plain `BertModel` with either tokenizer."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hub2hf.architectures.base import EMBEDDINGS, layer_stage
from hub2hf.architectures.head import EMBEDDING, HEAD
from hub2hf.errors import SourceError
from hub2hf.locks import held
from hub2hf.surfaces.base import BATCH, Embedded, Loaded, Surface, has_weights, unit

LIBRARIES = ("transformers", "tokenizers", "torch")
PIECES = "spiece.model"  # the file of a SentencePiece model
COPYING = ".hub2hf.lock"
LONGEST_COPY = 60.0  # seconds that another process is waited for


class Pooled(Loaded):
    """A tokenizer and a model whose `pooler_output` is the embedding."""

    def __init__(self, tokenizer: Any, model: Any) -> None:
        self.tokenizer = tokenizer
        self.model = model.eval()

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return ids and unit embeddings of `texts`, cut at the length that the folder states."""
        ids = self.ids(texts)
        stages = self.run(ids, stages=False)
        if EMBEDDING not in stages:
            raise SourceError("The plain class has no such pooler.", "Load the folder as AutoModel.")
        return Embedded(ids, unit(stages[EMBEDDING]))

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, cut at the length that the folder states."""
        return list(self.tokenizer(list(texts), truncation=True)["input_ids"])

    def stages(self, texts: Sequence[str]) -> Mapping[str, np.ndarray]:
        """Return the first token after every stage, float32 [texts, hidden], by the names of `reference.stages`."""
        return self.run(self.ids(texts), stages=True)

    def not_a_number(self) -> str | None:
        """Return the name of a parameter that holds NaN or infinity, if there is one."""
        return not_a_number(self.model)

    def run(self, rows: Sequence[list[int]], *, stages: bool) -> dict[str, np.ndarray]:
        """Return the pooler's output for rows of ids, float32 [rows, hidden], and with `stages` what `stages` gives."""
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        batches = [[rows[i] for i in order[start : start + BATCH]] for start in range(0, len(order), BATCH)]
        parts: dict[str, list[np.ndarray]] = {}
        with _workers() as workers:
            for found in workers.map(lambda batch: self._forward(batch, stages=stages), batches):
                for name, value in found.items():
                    parts.setdefault(name, []).append(value)
        back = np.argsort(order)
        return {name: np.concatenate(values)[back] for name, values in parts.items()}

    def _forward(self, rows: list[list[int]], *, stages: bool) -> dict[str, np.ndarray]:
        import torch

        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), self.tokenizer.pad_token_id or 0)
        device = self.model.device
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        with torch.inference_mode():
            outputs = self.model(input_ids=ids.to(device), attention_mask=mask.to(device), output_hidden_states=stages)
        found = {}
        if stages:
            first = [hidden[:, 0].cpu().numpy() for hidden in outputs.hidden_states]
            found = {EMBEDDINGS: first[0]} | {layer_stage(i): value for i, value in enumerate(first[1:])}
        return found if outputs.pooler_output is None else found | {EMBEDDING: outputs.pooler_output.cpu().numpy()}


@contextmanager
def _workers() -> Iterator[ThreadPoolExecutor]:
    """Yield a worker for each thread of PyTorch's, with one thread of its own.

    The operations of a small batch are short. Threads that share each of them wait for each other at its end, and lose
    most of their speed that way where the machine has other work; workers that share nothing lose what that work takes.
    """
    import torch

    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as workers:
            yield workers
    finally:
        torch.set_num_threads(threads)


def not_a_number(model: Any) -> str | None:
    """Return the name of a parameter of a PyTorch module that holds NaN or infinity, if there is one."""
    return next((name for name, value in model.named_parameters() if not value.isfinite().all()), None)


def quiet() -> None:
    """Keep transformers from drawing bars and giving advice, and PyTorch from advice about old files of weights."""
    from transformers.utils import logging

    warnings.filterwarnings("ignore", message="Detected pickle protocol", category=UserWarning)
    logging.disable_progress_bar()
    logging.set_verbosity_error()


def automodel(folder: Path, trusted: bool, device: str = "cpu") -> Pooled:
    """Load through `AutoTokenizer` and `AutoModel`, with the model class that the folder ships where it is trusted."""
    from transformers import AutoModel, AutoTokenizer

    quiet()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with _copying() if trusted else nullcontext():
        model = AutoModel.from_pretrained(folder, trust_remote_code=trusted)
    return Pooled(tokenizer, model.to(device))


@contextmanager
def _copying() -> Iterator[None]:
    """Keep other processes from loading a model class meanwhile.

    transformers copies the file of the class to one place for all of a person's processes, and writes it over where another
    is about to read it: one of two that load the same folder for the first time finds it empty. What cannot be locked, as
    in a place that is only read, goes on.
    """
    from transformers import dynamic_module_utils

    place = Path(dynamic_module_utils.HF_MODULES_CACHE)
    taken = SourceError("Another process is loading a model class.", "Wait for it.")
    with ExitStack() as block:
        with suppress(OSError, SourceError):
            place.mkdir(parents=True, exist_ok=True)
            block.enter_context(held(place / COPYING, taken, seconds=LONGEST_COPY))
        yield


def bert(folder: Path, trusted: bool) -> Pooled:
    """Load through `AutoTokenizer` and the plain `BertModel`."""
    from transformers import AutoTokenizer

    quiet()
    return Pooled(AutoTokenizer.from_pretrained(folder), _plain(folder))


def snippet(folder: Path, trusted: bool) -> Pooled:
    """Load through `BertTokenizerFast` and `BertModel`, as the snippet of the published card does."""
    from transformers import BertTokenizerFast

    quiet()
    return Pooled(BertTokenizerFast.from_pretrained(folder), _plain(folder))


def of_words(files: Collection[str]) -> bool:
    """Tell whether the text side of a folder with weights may be BERT's: it has no SentencePiece model."""
    return has_weights(files) and PIECES not in files


def is_stock_bert(config: Mapping[str, Any]) -> bool:
    """Tell whether a folder has weights for the pooler of `BertModel`, by its `config.json`."""
    return HEAD not in config and config.get("model_type", "bert") == "bert"


def _plain(folder: Path) -> Any:
    """Return the plain `BertModel`, without a pooler where the folder has no weights for one."""
    from transformers import BertConfig, BertModel

    other = hasattr(BertConfig.from_pretrained(folder), HEAD)
    return BertModel.from_pretrained(folder, add_pooling_layer=not other)


_of_transformers = partial(Surface, libraries=LIBRARIES, extra="torch")
SURFACES = (
    _of_transformers(
        title="AutoModel",
        code='AutoModel.from_pretrained("{id}"{trust})(**inputs).pooler_output',
        load=automodel,
        exact=True,
    ),
    _of_transformers(
        title="BertModel",
        differs="the pooler of BertModel is a tanh and cannot be configured: its ids are exact, its pooler_output is not",
        code='BertModel.from_pretrained("{id}")',
        load=bert,
        exact=False,
        stock_head=True,
    ),
    _of_transformers(
        title="BertTokenizerFast",
        differs="it is loaded with BertModel, whose pooler is another, and in transformers 5 it gives different token ids: "
        "BertTokenizerFast replaces the text rules of tokenizer.json by its own",
        code='BertTokenizerFast.from_pretrained("{id}"), BertModel.from_pretrained("{id}")',
        load=snippet,
        applies=of_words,
        exact=False,
        stock_head=True,
    ),
)
