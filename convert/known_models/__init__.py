"""What is known of models before they are read: those with a name, and all text modules that tfhub.dev documents."""

from hub2hf.known_models.census import TFHUB, Documented, census, documented
from hub2hf.known_models.models import (
    SUFFIX,
    CardFacts,
    KnownModel,
    find_model,
    known_models,
    named,
    recognised,
    similar,
)

__all__ = [
    "SUFFIX",
    "TFHUB",
    "CardFacts",
    "Documented",
    "KnownModel",
    "census",
    "documented",
    "find_model",
    "known_models",
    "named",
    "recognised",
    "similar",
]
