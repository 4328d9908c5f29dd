"""The base of what answers show: a field that nobody has described is a fault."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """A field's docstring is its documentation."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)
