"""What a caller is told whose credential lacks a scope."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.errors import INSUFFICIENT_SCOPE, Refused


def insufficient(missing: Iterable[str], why: str = "") -> Refused:
    """The refusal for want of these scopes (RFC 6750, 3.1)."""
    scopes = sorted(missing)
    challenge = f'Bearer error="insufficient_scope", scope="{" ".join(scopes)}"'
    detail = f"The credential lacks {', '.join(scopes)}. {why}".rstrip()
    return Refused(INSUFFICIENT_SCOPE, detail, headers=(("WWW-Authenticate", challenge),))
