"""The text side of a SavedModel: found, read, and held against what its graph does."""
