"""From a blueprint to a Hugging Face folder."""

from hub2hf.export.about import write_card
from hub2hf.export.folder import as_json, blueprint_facts, write_folder
from hub2hf.export.manifest import MANIFEST, problems, read_manifest, unknown_files
from hub2hf.export.prove import prove_tokenizer
from hub2hf.export.staging import check_free

__all__ = [
    "MANIFEST",
    "as_json",
    "blueprint_facts",
    "check_free",
    "problems",
    "prove_tokenizer",
    "read_manifest",
    "unknown_files",
    "write_card",
    "write_folder",
]
