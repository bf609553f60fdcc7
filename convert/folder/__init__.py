"""From a blueprint to a Hugging Face folder."""
