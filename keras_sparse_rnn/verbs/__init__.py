"""The verbs of the command line, one a module: `add(verbs)` adds its parser."""
