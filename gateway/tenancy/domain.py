"""Internet domains that a tenant or an organization says are its own, and how it proves that."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

import idna

DOMAINS_MAX = 50
"""Of one owner."""

_NAME_MAX = 253
# RFC 1034, 3.5, and RFC 5891, 4.4, whose A-labels keep to it. No top level has digits alone: that would be an address.
_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?![0-9]+\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_RECORD, _VALUE = "_tenantgate", "tenantgate-verify"


@dataclass(frozen=True, slots=True)
class Domain:
    """`name` is in lower case, of A-labels. `verified_at` is when its owner has proved it; None: not yet, so it counts for
    nothing. Instants are seconds since 1970."""

    id: str
    name: str
    token: str
    created_at: float
    verified_at: float | None = None

    @property
    def record_name(self) -> str:
        """Where the proof stands in the DNS, as a TXT record."""
        return f"{_RECORD}.{self.name}"

    @property
    def record_value(self) -> str:
        return f"{_VALUE}={self.token}"


def new_token() -> str:
    """128 bits, hexadecimal: everybody can read it in the DNS, nobody can guess it before."""
    return secrets.token_hex(16)


def domain_name(text: str) -> str | None:
    """The form in which names are stored and compared, of one that may be written in any script; None: no domain's name, such
    as a single label or an address."""
    if len(text) > _NAME_MAX:
        return None
    name = text.lower()
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    longest = _NAME_MAX - len(_RECORD) - 1
    return name if len(name) <= longest and _NAME.fullmatch(name) is not None else None


def verified(domains: Iterable[Domain], name: str) -> Domain | None:
    """The one of this name that is proved."""
    return next((one for one in domains if one.name == name and one.verified_at is not None), None)
