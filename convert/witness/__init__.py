"""Unicode and regular expressions as other people's libraries have them: what the interpreter runs a graph's text with.

The tokenizer is compiled from `hub2hf.unicode`. Were the interpreter to use that too, a fault there would prove itself. So
nothing here imports it: patterns are run by RE2 itself (`google-re2`), scripts and white space are asked of RE2,
normalization is `unicodedata2`'s, case folding that of `idna`. Each is another Unicode version than TensorFlow's; the code
points at which TensorFlow differs are in `differences.txt`, written by `scripts/build_differences.py`, and nothing else is
corrected. What the two sides disagree about beyond that is found by `hub2hf.folder.agreement`.

`differences` (the file), `points` (asking RE2 about code points), `patterns` (RE2 as TensorFlow's ops run it), `folding`
(normalization and case folding), `boundaries` (the code points that tell two tables apart).
"""
