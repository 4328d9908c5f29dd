"""Several processes that are one gateway: a parent that keeps them, and workers that serve."""
