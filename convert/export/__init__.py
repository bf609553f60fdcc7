"""From a blueprint to a Hugging Face folder."""

from hub2hf.export.about import write_card
from hub2hf.export.folder import as_json, blueprint_facts, fingerprint, write_folder
from hub2hf.export.manifest import MANIFEST, problems, read_manifest, unknown_files
from hub2hf.export.prove import prove_tokenizer
from hub2hf.export.staging import check_free
from hub2hf.export.weights import weights_bytes

__all__ = [
    "MANIFEST",
    "as_json",
    "blueprint_facts",
    "check_free",
    "fingerprint",
    "problems",
    "prove_tokenizer",
    "read_manifest",
    "unknown_files",
    "weights_bytes",
    "write_card",
    "write_folder",
]
