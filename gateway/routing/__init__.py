"""Which route a request takes, and which spellings of a path are refused."""
