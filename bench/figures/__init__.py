"""Measurements of the gateway as it is run: the real command, a real store, a real upstream. See docs/measurements.md."""
