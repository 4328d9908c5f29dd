"""What the ledger needs of whoever remembers records."""

from __future__ import annotations

from typing import Protocol

from gateway.pipeline.lookup import Record


class Trust(Protocol):
    """`until`: the instant, on the monotonic clock, until which a record is leased. It changes as that does."""

    @property
    def until(self) -> float: ...


class Remembered(Protocol):
    def forget(self, record: Record) -> None:
        """The record has changed in the store."""

    def learn(self, record: Record, asked: float) -> None:
        """The store has leased the record in answer to what was asked at `asked`, on the monotonic clock."""

    def leased(self, record: Record) -> bool:
        """Whether no change of the record can have answered yet."""

    def trust(self, record: Record) -> Trust | None:
        """Until when the record is leased, from now on; None where it is not."""

    def lease_left(self, record: Record) -> float:
        """For how many more seconds it is leased; 0 where it is not."""
