"""What is said of a model that is not understood: what it is, what was read of it, and all that was not."""
