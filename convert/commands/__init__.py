"""The verbs of the command line, a file each with a function `run`; `cli.py` reads them from here."""

VERBS = (
    "list",
    "fetch",
    "inspect",
    "convert",
    "export",
    "slim",
    "evaluate",
    "embed",
    "mine",
    "verify",
    "record",
    "card",
    "push",
)  # in the order of --help
