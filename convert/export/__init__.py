"""From a blueprint to a Hugging Face folder."""

from convert.export.folder import MANIFEST, as_json, blueprint_facts, fingerprint, write_folder
from convert.export.prove import prove_tokenizer
from convert.export.staging import check_free

__all__ = ["MANIFEST", "as_json", "blueprint_facts", "check_free", "fingerprint", "prove_tokenizer", "write_folder"]
