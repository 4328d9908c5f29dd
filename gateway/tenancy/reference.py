"""A platform's own name for a tenant: its `external_ref`."""

from __future__ import annotations

import re

# Printable ASCII, as everything that has to pass in a header unchanged. No slashes: references end up in other systems' paths.
_REFERENCE = re.compile(r"[ -.0-\[\]-~]{1,255}")


def is_reference(text: str) -> bool:
    """Whether `text` can be an external reference: 1 to 255 printable ASCII characters, no slash or backslash, no space at
    either end."""
    return _REFERENCE.fullmatch(text) is not None and text == text.strip(" ")
