"""Which numbers int8 products meet, channel by channel: measured on texts, by ONNX Runtime.

What a LayerNorm makes has a few channels that are ten times as large as the others, token after token (with trained
weights, see `precision`: the root of the mean square of one is 3.1, that of the middle one 0.26). They alone decide the
scale of a token, and leave the others a few bits. So each channel is moved to the middle of its numbers and made narrower
before it is rounded, and weights and a constant take it back, as SmoothQuant has it (Xiao et al., ICML 2023) and Outlier
Suppression+ (Wei et al., EMNLP 2023). Neither gamma nor beta tells which channels those are. To do the same to what
activations make multiplied the noise by fifteen; to what attention makes, it changed nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hub2hf.onnx.export import write_onnx
from hub2hf.onnx.graph import REACH
from hub2hf.surfaces.onnxruntime import EMBEDDING, Session
from hub2hf.surfaces.padded import Inputs


class _Probe(Session):
    """Embeds, and keeps what further outputs give."""

    batch = 1  # of more texts some would be padded, and padding counts for nothing

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.names = [each.name for each in self.session.get_outputs() if each.name.endswith(REACH)]
        self.found: dict[str, list[np.ndarray]] = {name: [] for name in self.names}

    def run(self, inputs: Inputs) -> np.ndarray:
        embeddings, *reaches = self.session.run([EMBEDDING, *self.names], {name: inputs[name] for name in self.takes})
        for name, reach in zip(self.names, reaches, strict=True):
            self.found[name].append(reach)
        return np.asarray(embeddings)


def reaches(folder: Path, texts: Sequence[str]) -> Mapping[str, np.ndarray]:
    """Return the name of what products meet → the lowest, highest and mean number of each channel, float32 [3, channels].

    Args:
        folder: has `config.json`, `model.safetensors` and `tokenizer.json`; `onnx/model.onnx` is written into it.
        texts: in the languages that the model is for.

    Raises:
        ExportError: as for `write_onnx`.
    """
    write_onnx(folder, probe=True)
    probe = _Probe(folder)
    probe.embed(texts)
    found = {name.removesuffix(REACH): np.stack(each, 1) for name, each in probe.found.items()}
    return {x: np.stack([low.min(0), high.max(0), mean.mean(0)]) for x, (low, high, mean) in found.items()}
