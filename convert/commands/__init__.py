"""The verbs of the command line, a file each with a function `run`; `cli.py` reads them from here."""

VERBS = (
    "inspect",
    "convert",
    "export",
    "slim",
    "evaluate",
    "fetch",
    "list",
    "record",
    "verify",
    "embed",
    "card",
    "push",
)  # in the order of --help
