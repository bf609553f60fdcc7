"""Reading a blueprint, with a refusal that calls the model what it is."""

from __future__ import annotations

from typing import Any

from threadpoolctl import threadpool_limits

from hub2hf import limits
from hub2hf.architectures.post_norm.architecture import PostNorm
from hub2hf.blueprint.blueprint import Blueprint
from hub2hf.blueprint.encoder.side import EncoderSide
from hub2hf.blueprint.read import read_blueprint as read
from hub2hf.errors import GraphError, MappingError
from hub2hf.savedmodel.original import Original


def read_blueprint(original: Original, output: str = "", **options: Any) -> Blueprint:
    """Return the blueprint of `original`; see `hub2hf.blueprint.read.read_blueprint`.

    Raises:
        Hub2HFError: as there; where the model is seen to be of another kind, the error says of which.
    """
    given, found = options.pop("recognised", None), list[EncoderSide]()

    def recognised(side: EncoderSide) -> None:
        found.append(side)
        if given is not None:
            given(side)

    try:
        return read(original, output, recognised=recognised, **options)
    except (GraphError, MappingError) as error:
        if found and not isinstance(found[0].encoder.architecture, PostNorm):
            raise  # what sets it apart from BERT is known
        from hub2hf.blueprint.refused.kinds import called_what_it_is  # only now: what converts need not wait for it

        with threadpool_limits(limits=1, user_api="blas"), limits.budget(original.model.nbytes, limits.SECONDS_TO_NAME):
            better = called_what_it_is(error, original.model, output)
        if better is error:
            raise
        raise better from error
