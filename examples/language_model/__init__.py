"""Word language models as in the papers: text, recipes, networks and their training."""
