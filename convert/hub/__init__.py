"""Publishing a folder on the Hugging Face Hub, with its proof."""

from hub2hf.hub.push import push
from hub2hf.hub.result import FileChange, Publication

__all__ = ["FileChange", "Publication", "push"]
