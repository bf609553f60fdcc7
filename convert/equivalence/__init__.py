"""Both sides embed the same sentences; the differences are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub2hf.errors import SourceError
from hub2hf.extras import install

if TYPE_CHECKING:
    from hub2hf.equivalence.tensorflow_side import ReferenceGraph
    from hub2hf.opened import Source


def reference(source: Source) -> ReferenceGraph:
    """Return TensorFlow about to run `source`.

    Raises:
        Hub2HFError: TensorFlow is not installed, or the source has no weights or is not understood.
    """
    source.whole()
    try:
        from hub2hf.equivalence.tensorflow_side import ReferenceGraph
    except ImportError as error:
        raise SourceError(f"{error.name} is not installed.", f"Install it: {install('tensorflow')}.") from error
    return ReferenceGraph(source)
