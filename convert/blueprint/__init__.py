"""What a SavedModel means: its text side and its encoder, each value with its evidence; `blueprint.Blueprint` has both."""
