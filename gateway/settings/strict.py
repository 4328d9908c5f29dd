"""How every mapping of gateway.yaml is read."""

from __future__ import annotations

from pydantic import ConfigDict

STRICT = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)
