"""The encoder of a SavedModel: its variables mapped, its values read, and held against runs of the whole graph."""
