"""Where a graph keeps its pieces and their numbers: files, tables, constants, tries, and numbers made in other ways."""
