"""What is counted later, as lines of a file: each with its number and a checksum, so that what broke off is seen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self
from uuid import UUID
from zlib import crc32

ENTRY_MAX = 512
"""Bytes that no line of an entry exceeds: names, ids and numbers are all bounded."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose use of `metric` in `period` it is: three counters, two where no credential is counted. That of a platform's
    key (`root`) is counted over all tenants besides."""

    tenant: UUID
    org: str
    credential: str | None
    metric: str
    period: str
    root: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """`units` that are to be counted; negative ones are to be given back. `number` grows by one from entry to entry."""

    number: int
    subject: Subject
    units: int

    def line(self) -> bytes:
        of = self.subject
        root = [True] if of.root else []
        return line_of([self.number, str(of.tenant), of.org, of.credential, of.metric, of.period, self.units, *root])

    @classmethod
    def of(cls, fields: object) -> Self:
        """What `line` has written. Raises ValueError for anything else."""
        match fields:
            case [int(number), str(tenant), str(org), str() | None as credential, str(metric), str(period), int(units), *root]:
                if root in ([], [True]):
                    return cls(number, Subject(UUID(tenant), org, credential, metric, period, bool(root)), units)
        raise ValueError("not an entry of a journal")


def line_of(value: object) -> bytes:
    text = json.dumps(value, separators=(",", ":")).encode()
    return b"%08x %b\n" % (crc32(text), text)


def read_line(line: bytes) -> object:
    """Of a line with its end. Raises ValueError where it is not as it was written."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or int(checksum, 16) != crc32(text):
        raise ValueError("the checksum does not fit")
    return json.loads(text)
