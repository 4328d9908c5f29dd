"""Whether an audit trail is as it was written: nothing altered, nothing missing in it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from .audit import CHUNK, KEPT, Audit
from .audit_entry import Entry, canonical, digest


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


def verify_export(lines: Iterable[bytes], kept: str | None = None) -> Verdict:
    """Check a trail that was exported, wherever it begins. What it lacks at its end is not seen, but where it does not reach to
    the entry whose hash was `kept`."""
    first, last, head = 0, 0, ""
    reached = kept is None
    for line in lines:
        entry, seq = _exported(line)
        first = first or max(seq, 1)
        wanted = last + 1 if last else first
        fault = _fault(entry, wanted, head if last or first == 1 else None)
        if fault:
            return Verdict(first if last else 0, last, head, wanted, "missing" if seq > wanted else fault)
        last, head = wanted, entry.hash
        reached = reached or head == kept
    return Verdict(first, last, head) if reached else Verdict(first, last, head, last + 1, "missing")


def _exported(line: bytes) -> tuple[Entry, int]:
    """The entry on a line, and the number that it claims; an entry that holds for nothing where the line is none."""
    try:
        fields = json.loads(line)
        told, seq = fields.pop("hash"), int(fields["seq"])
        return Entry(canonical(fields), str(told)), seq
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Entry(b"", ""), 0


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
