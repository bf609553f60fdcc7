"""From a blueprint to a Hugging Face folder."""

from convert.export.card import write_card
from convert.export.folder import as_json, blueprint_facts, fingerprint, write_folder
from convert.export.manifest import MANIFEST, problems, read_manifest, unknown_files
from convert.export.prove import prove_tokenizer
from convert.export.staging import check_free
from convert.export.weights import weights_bytes

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
