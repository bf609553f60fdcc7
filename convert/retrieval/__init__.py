"""Is the translation of a sentence found? Retrieval accuracy and mining in every language that a person has pairs of."""
