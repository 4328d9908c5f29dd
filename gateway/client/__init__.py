"""`gateway.client`: the platform's API and the operators', from Python.

Asynchronous, typed, and thin: what goes over the wire is what the documents at `/openapi.json` describe.
"""

from __future__ import annotations

from .connection import Unreachable
from .operators import Operator
from .platforms import Client
from .refusal import Refusal

__all__ = ["Client", "Operator", "Refusal", "Unreachable"]
