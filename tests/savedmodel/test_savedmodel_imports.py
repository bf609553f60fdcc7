"""Reading a SavedModel needs neither TensorFlow nor PyTorch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
from pathlib import Path
from hub2hf.savedmodel.model import SavedModel
model = SavedModel.open(Path(sys.argv[1]))
for name in model.checkpoint.variables:
    model.checkpoint.read(name)
loaded = {name.split(".")[0] for name in sys.modules} & {"tensorflow", "tensorflow_text", "torch"}
sys.exit(f"imported {loaded}" if loaded else 0)
"""


def test_neither_tensorflow_nor_torch_is_imported(tf2_model: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", CODE, str(tf2_model)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
