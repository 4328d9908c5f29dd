"""Use as those who bill it take it, each unit once."""
