"""A folder for the browser: a `tokenizer.json` that JavaScript runs exactly, and a page that shows it at work."""

from hub2hf.web.folder import export_web

__all__ = ["export_web"]
