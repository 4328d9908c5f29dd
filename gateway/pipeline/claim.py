"""A credential that was read and is yet to be proved against the record that it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .lookup import Lookup, Record
from .principal import Principal


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a claim is proved with: the record that its look-up led to (None: there is none), and, where the claim asked
    for it, the lower-case hex SHA-256 of the whole body."""

    record: Record | None
    body_sha256: str | None = None


class Claim(Protocol):
    """Made by an authenticator. It is proved again whenever the record changes while the request waits, so `prove` is pure."""

    @property
    def lookup(self) -> Lookup: ...

    @property
    def needs_body(self) -> bool:
        """Whether the proof covers the body, which is then read whole before anything is forwarded."""

    def prove(self, evidence: Evidence) -> Principal:
        """Raises Refused where the credential does not hold."""


class KeysNeeded(Exception):
    """Raised by an authenticator whose issuer's keys must be fetched first; it is called once more afterwards."""

    def __init__(self, issuer: str) -> None:
        super().__init__(issuer)
        self.issuer = issuer
