"""Both sides embed the same sentences; the differences are measured."""

from __future__ import annotations

import contextlib
import os
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from hub2hf.equivalence.silence import silenced
from hub2hf.errors import SourceError
from hub2hf.extras import install
from hub2hf.notices import notice

if TYPE_CHECKING:
    from hub2hf.equivalence.tensorflow_side import ReferenceGraph
    from hub2hf.opened import Source


def reference(source: Source) -> ReferenceGraph:
    """Return TensorFlow about to run `source`.

    Raises:
        Hub2HFError: TensorFlow is not installed, or the source has no weights or is not understood.
    """
    source.whole()
    require_tensorflow()
    notice("loading TensorFlow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when it is loaded; 3 keeps only what ends the process
    with silenced():
        # PyTorch for CUDA brings it: loaded after TensorFlow, it ends the process.
        with contextlib.suppress(ImportError):
            import_module("triton")
        from hub2hf.equivalence.tensorflow_side import ReferenceGraph

        return ReferenceGraph(source)


def require_tensorflow() -> None:
    """See that TensorFlow and TF.Text are installed, without loading them.

    Raises:
        SourceError: one is not.
    """
    for name in ("tensorflow", "tensorflow_text"):
        if find_spec(name) is None:
            raise SourceError(f"{name} is not installed.", f"Install it: {install('tensorflow')}")
