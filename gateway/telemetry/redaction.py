"""What must never stand in a log line: told by the name it stands under, and by how it looks wherever it turns up."""

from __future__ import annotations

import re
from collections.abc import Mapping

_MASK = "[redacted]"
_DEPTH = 6

# Parts of names, in lower case with underscores. `credential_id` and `key_id` are ids, and stay.
_SECRET_NAME = re.compile(r"authorization|cookie|secret|passw|token|signature|(?:api|admin|widget|public|private|_)_?key$")

# Each stops at quotes and backslashes, or takes an escape whole, so that it can be applied to rendered JSON and leave it well
# formed.
_SECRET = re.compile(
    r"""(?P<keep>\b(?:bearer|basic)\s+|\b(?:public_key|token|secret|password)=|://(?=[^\s"\\/@]*:[^\s"\\/@]*@))"""
    r"""[^\s"\\&,@]+"""
    r"""|\beyj[\w-]{6,}(?:\.[\w-]*)*"""  # JWT: base64url of `{"`
    r"""|\b[a-z][a-z0-9]{0,11}_(?:live|test)_[0-9a-z]{8,}"""  # API key
    r"""|\b[sp]k_[0-9a-z_]{16,}"""  # signing secret, widget key; the id of one is shorter
    r"""|\bwhsec_[0-9a-z+/=]{16,}"""  # webhook's secret
    r"""|\bv1=[0-9a-f]{32,}"""  # HMAC signature
    r"""|-----BEGIN[ A-Z]*PRIVATE KEY-----(?:[^"\\]|\\.)*""",
    re.IGNORECASE,
)
# The search costs far more than a look for these, and most lines have none of them.
_HINTS = (
    "bearer",
    "basic",
    "_key=",
    "token=",
    "secret=",
    "password=",
    "://",
    "eyj",
    "_live_",
    "_test_",
    "k_",
    "whsec_",
    "v1=",
    "private",
)


def redact_text(text: str) -> str:
    """`text` without anything that looks like a secret; rendered JSON stays well formed."""
    folded = text.lower()
    if not any(hint in folded for hint in _HINTS):
        return text
    return _SECRET.sub(lambda match: f"{match['keep'] or ''}{_MASK}", text)


def redact_names(value: object, depth: int = _DEPTH) -> object:
    """`value` with everything masked that stands under the name of a secret, in nested mappings and sequences too."""
    if isinstance(value, Mapping):
        if depth == 0:
            return _MASK
        return {key: _MASK if _is_secret_name(key) else redact_names(inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return _MASK if depth == 0 else [redact_names(inner, depth - 1) for inner in value]
    return value


def _is_secret_name(name: object) -> bool:
    return isinstance(name, str) and _SECRET_NAME.search(name.lower().replace("-", "_")) is not None
