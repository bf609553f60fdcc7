"""The way of loading through infinity, a server of embeddings, whose engine is also a Python class."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from hub2hf.surfaces.base import Surface
from hub2hf.surfaces.sentence_transformers import Wrapped, described
from hub2hf.surfaces.transformers import LIBRARIES, quiet


def infinity(folder: Path, trusted: bool) -> Wrapped:
    """Load a folder as infinity does with PyTorch."""
    import asyncio

    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # it asks the Hub for the name otherwise, which is a path here
    from infinity_emb import AsyncEmbeddingEngine, EngineArgs

    quiet()
    logging.getLogger("infinity_emb").setLevel(logging.ERROR)
    engine: Any = AsyncEmbeddingEngine.from_args(
        EngineArgs(model_name_or_path=str(folder), engine="torch", device="cpu")
    )

    async def embeddings(texts: list[str]) -> Any:
        async with engine:
            return (await engine.embed(sentences=texts))[0]

    return Wrapped(engine._model_replicas[0], lambda texts: asyncio.run(embeddings(texts)))


SURFACES = (
    Surface(
        title="infinity",
        code='AsyncEmbeddingEngine.from_args(EngineArgs(model_name_or_path="{id}"))',
        load=infinity,
        exact=True,
        libraries=("infinity-emb", "sentence-transformers", *LIBRARIES),
        extra="infinity",
        applies=described,
        by_name=True,
    ),
)
