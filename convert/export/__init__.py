"""From a blueprint to a Hugging Face folder."""

from convert.export.folder import MANIFEST, as_json, blueprint_facts, write_folder

__all__ = ["MANIFEST", "as_json", "blueprint_facts", "write_folder"]
