"""What Unicode classes, scripts and RE2 patterns mean to TensorFlow, whose tables are of other versions than Python's.

`tables` (read off TensorFlow), `codepoints` (sets of them), `re2` (the patterns of a graph), `automaton` (what they match).
"""
