"""A TOML as the source: encoder and preprocessor come from where it says, and the card tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from loopback import Served
from references import Pair
from sources_fixtures import packed

import hub2hf
from hub2hf.errors import ExportError
from hub2hf.folder.manifest import read_manifest

TOML = """\
title = "Fetched"
address = "{url}/encoder.tar.gz"
preprocessor = "{url}/preprocessor.tar.gz"

[must_be]
layers = {layers}
"""


def test_one_toml_brings_encoder_and_preprocessor(
    server: tuple[str, dict[str, Served]], pair: Callable[[str], Pair], tmp_path: Path
) -> None:
    (url, files), given = server, pair("cased")
    files["/encoder.tar.gz"] = Served(packed(folder=given.encoder))
    files["/preprocessor.tar.gz"] = Served(packed(folder=given.preprocessor))
    model = tmp_path / "mine.toml"
    model.write_text(TOML.format(url=url, layers=given.options.layers))
    fetched = hub2hf.convert(model, tmp_path / "fetched").out
    local = hub2hf.convert(given.encoder, tmp_path / "local", preprocessor=given.preprocessor).out
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (fetched / name).read_bytes() == (local / name).read_bytes()
    source = read_manifest(fetched).source
    assert source["address"] == f"{url}/encoder.tar.gz"
    assert source["fingerprint"] == read_manifest(local).fingerprint
    card = (fetched / "README.md").read_text(encoding="utf-8")
    assert f"| Source | <{url}/encoder.tar.gz> |" in card
    assert "was not checked" not in card


def test_what_is_fetched_must_be_the_model(
    server: tuple[str, dict[str, Served]], pair: Callable[[str], Pair], tmp_path: Path
) -> None:
    (url, files), given = server, pair("cased")
    files["/encoder.tar.gz"] = Served(packed(folder=given.encoder))
    files["/preprocessor.tar.gz"] = Served(packed(folder=given.preprocessor))
    model = tmp_path / "mine.toml"
    model.write_text(TOML.format(url=url, layers=77))
    with pytest.raises(ExportError, match="This is not Fetched: layers is"):
        hub2hf.convert(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()
