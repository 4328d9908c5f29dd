"""The whole state as JSON lines, out of one gateway and into another."""
