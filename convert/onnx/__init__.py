"""The encoder as an ONNX file, written from what was read of the SavedModel: nothing is traced, and nothing run."""

from hub2hf.onnx.export import DTYPES, add_onnx, file_of, write_onnx

__all__ = ["DTYPES", "add_onnx", "file_of", "write_onnx"]
