"""Needs a module that is not installed."""

import something_missing  # noqa: F401
