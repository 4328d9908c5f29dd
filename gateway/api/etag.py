"""Entity tags (RFC 9110, 8.8.3), so that nobody overwrites what somebody else has changed in the meantime."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256

from gateway.errors import PRECONDITION_FAILED, Refused

from .document import Shown, document_of


def etag_of(shown: Shown) -> str:
    """The tag of what a resource shows: another one, as soon as that differs anywhere."""
    canonical = json.dumps(document_of(shown), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return f'"{sha256(canonical).hexdigest()[:32]}"'


@dataclass(frozen=True, slots=True)
class Condition:
    """What `If-Match` says; None: nothing."""

    if_match: str | None = None

    def check(self, shown: Shown) -> None:
        """To be called within the edit, with what the resource shows before it. Raises Refused(PRECONDITION_FAILED).

        A weak tag matches nothing (RFC 9110, 13.1.1).
        """
        if self.if_match is None or self.if_match.strip() == "*":
            return
        if etag_of(shown) not in (tag.strip() for tag in self.if_match.split(",")):
            raise Refused(PRECONDITION_FAILED)
