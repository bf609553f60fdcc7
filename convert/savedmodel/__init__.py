"""A TensorFlow SavedModel, read without TensorFlow: its checkpoint, its graph with functions, its assets.

What is asked for is imported from the file that it is in: files are hashed before all else is imported.
"""
