from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def small_vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few thousand pieces, special tokens at the ids of the LEALLA modules."""
    import fuzz_tokenizer

    return fuzz_tokenizer.small_vocabulary(tmp_path_factory.mktemp("vocabulary"))


@pytest.fixture(scope="session")
def folder(small_vocabulary: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tokenizer files of the LEALLA operations over the small vocabulary."""
    from dataclasses import replace

    from builders import oracles

    from hub2hf.tokenizer import read_vocabulary, tokenizer_files

    out = tmp_path_factory.mktemp("folder")
    text = replace(oracles.standard_operations(), vocabulary=small_vocabulary)
    tokenizer_files(text, len(read_vocabulary(small_vocabulary)), out)
    return out
