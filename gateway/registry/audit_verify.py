"""Whether an audit trail is as it was written: nothing altered, nothing missing in it."""

from __future__ import annotations

from dataclasses import dataclass

from .audit import CHUNK, KEPT, Audit
from .audit_entry import Entry, digest


@dataclass(frozen=True, slots=True)
class Verdict:
    """`first` and `last` are the numbers of the entries that hold, 0 where there are none; `head` is the hash of the last.

    `broken` is the number of the first entry that is not as it was written, or is missing, and `fault` says what it is.
    """

    first: int
    last: int
    head: str
    broken: int | None = None
    fault: str = ""


async def verify(audit: Audit, org: str) -> Verdict:
    """Walk the trail of an organization from its oldest entry on. Raises Refused(STORE_UNAVAILABLE).

    Whoever can write to the store can make a whole new chain: keep `head` elsewhere, and look for it in a later trail.
    """
    count = await audit.count(org)
    number, wanted = await audit.head(org)
    first, last, head = 0, 0, ""
    while chunk := await audit.chunk(org, last):
        for at, entry in chunk:
            if not first:
                first = at
                # The oldest go when there are too many; what came before them is not known then.
                if at > 1 and count < KEPT:
                    return Verdict(0, 0, "", 1, "missing")
            fault = _fault(entry, at, None if last == 0 and at > 1 else head) if last in (0, at - 1) else "missing"
            if fault:
                return Verdict(first, last, head, last + 1 if last else at, fault)
            if at == number and entry.hash != wanted:
                return Verdict(first, last, head, at, "not the entry that was written last")
            last, head = at, entry.hash
        if len(chunk) < CHUNK:
            break
    if last < number:
        return Verdict(first, last, head, last + 1, "missing")
    if last and not number:
        return Verdict(first, last, head, last, "not the entry that was written last")
    return Verdict(first, last, head)


def _fault(entry: Entry, number: int, prev: str | None) -> str:
    """`prev` is the hash of the entry before; None: not known."""
    if digest(entry.text) != entry.hash:
        return "altered"
    try:
        fields = entry.fields()
    except ValueError:
        return "altered"
    if fields.get("seq") != number or (prev is not None and fields.get("prev") != prev):
        return "not tied to the entry before"
    return ""
