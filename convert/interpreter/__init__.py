"""Run a graph on a few probes with NumPy, without TensorFlow.

Reading a graph gives a hypothesis of what it computes; running it proves the hypothesis, whatever the order in which an
exporter wrote the arithmetic. Only what reaches the fetched tensor is run, in float64, on substitutes for the variables
and the vocabulary: this is no way to embed sentences, and needs neither the weights nor their memory.
An op without an entry in the tables of this folder is an error that names the node.
"""

from hub2hf.interpreter.run import Interpreter, Substitutes, no_variable

__all__ = ["Interpreter", "Substitutes", "no_variable"]
