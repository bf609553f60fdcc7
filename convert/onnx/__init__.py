"""The encoder as an ONNX file, written from what was read of the SavedModel: nothing is traced; only `reach` runs it."""
