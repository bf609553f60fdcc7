"""Ways of loading on a GPU, each a way of its own: what is declared exact is float32 on the processor.

None is declared exact, since none was run where hub2hf is made; asked for, each must be, in float32 and without TF32.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hub2hf.errors import SourceError
from hub2hf.surfaces import sentence_transformers, transformers
from hub2hf.surfaces.base import Loaded, Surface

DRIVERS: Final = ("libcuda.so.1", "nvcuda.dll")
ROCM: Final = Path("/dev/kfd")  # of AMD's driver, whose GPUs PyTorch calls cuda, too
DIFFERS: Final = "a GPU adds in another order than TensorFlow on a processor: nobody has measured by how much here"


def has_cuda() -> bool:
    """Whether the driver tells of a GPU that PyTorch calls cuda; PyTorch itself would take seconds to say."""
    count = ctypes.c_int(0)
    for name in DRIVERS:
        try:
            driver = ctypes.CDLL(name)
            if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value:
                return True
        except (OSError, AttributeError):
            continue
    return ROCM.exists()


def has_mps() -> bool:
    """Whether this is a Mac with Apple silicon, whose GPU PyTorch calls mps."""
    return (platform.system(), platform.machine()) == ("Darwin", "arm64")


# As PyTorch names a kind of device → what people call it, and whether there is one.
DEVICES: Final[dict[str, tuple[str, Callable[[], bool]]]] = {
    "cuda": ("CUDA", has_cuda),
    "mps": ("Apple's GPU", has_mps),
}


class OnDevice(Surface):
    """A way that needs a device."""

    def versions(self) -> dict[str, str]:
        """Return library → version.

        Raises:
            SourceError: there is no such device, or a library is not installed.
        """
        called, there = DEVICES[self.device]
        if not there():
            raise SourceError(
                f"There is no {self.device} device on this machine.",
                f"Leave out --device to use the CPU, or run this on a machine with {called}.",
            )
        return super().versions()


def placed(load: Callable[[Path, bool, str], Loaded], device: str) -> Callable[[Path, bool], Loaded]:
    """Return what loads a folder onto a device, in float32 and without TF32."""

    def loaded(folder: Path, trusted: bool) -> Loaded:
        import torch

        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
        return load(folder, trusted, device)

    return loaded


PLACED: Final = (  # way on the processor, what loads it, the line that does
    (transformers.SURFACES[0], transformers.automodel, 'AutoModel.from_pretrained("{id}"{trust}).to("DEVICE")'),
    (sentence_transformers.SURFACES[0], sentence_transformers.stock, 'SentenceTransformer("{id}", device="DEVICE")'),
)
SURFACES = tuple(
    OnDevice(
        title=f"{way.title} ({device.upper()})",
        code=code.replace("DEVICE", device),
        load=placed(load, device),
        exact=False,
        differs=DIFFERS,
        libraries=way.libraries,
        extra=way.extra,
        applies=way.applies,
        by_name=True,
        device=device,
    )
    for device in DEVICES
    for way, load, code in PLACED
)
