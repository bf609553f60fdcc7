"""Both sides embed the same sentences; the differences are measured."""
