"""The encoder as an ONNX file, written from what was read of the SavedModel: nothing is traced; only `reach` runs it."""

from hub2hf.onnx.export import FILES, add_onnx, write_onnx

__all__ = ["FILES", "add_onnx", "write_onnx"]
