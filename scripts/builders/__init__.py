"""What scripts and tests build with: reference SavedModels, a family a file; SavedModels that lie; oracles of a tokenizer.

`scripts/` is on the path of each script and, by `pythonpath` in pyproject.toml, of each test: `from builders import lealla`.
"""
