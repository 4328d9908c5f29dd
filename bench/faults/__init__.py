"""Faults, made on purpose under load: the real command with several workers, a real store and a real upstream.

`python -m bench.faults` lists the runs. The end-to-end tests hold short versions of the same.
"""
