"""What may stand in the head of an HTTP message, whoever sent it."""

from __future__ import annotations

import re

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A header's name (RFC 9110, 5.6.2)."""

PLAIN = bytes(byte for byte in range(256) if byte == 0x09 or 0x20 <= byte != 0x7F)
"""The bytes of a header's value: all but control characters other than the tab (RFC 9110, 5.5)."""

PLAIN_LINES = PLAIN + b"\r\n"
"""Those of a head, ends of lines included."""
