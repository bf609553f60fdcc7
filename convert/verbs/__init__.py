"""What a person does, a file a verb: `hub2hf.NAME` is here when it is first used, and the command calls the same.

Each imports what it needs when it is called: naming a verb costs nothing. The verbs that are one room's whole work are in
that room (`embed` in `corpora`, `evaluate` and `slim` in `retrieval`); `hub2hf/__init__.py` says where each is.
"""
