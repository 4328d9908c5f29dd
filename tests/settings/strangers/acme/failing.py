"""Fails when it is imported."""

RATIO = 1 / 0
