"""Publishing a folder on the Hugging Face Hub, with its proof."""

from convert.hub.push import push
from convert.hub.result import FileChange, Publication

__all__ = ["FileChange", "Publication", "push"]
