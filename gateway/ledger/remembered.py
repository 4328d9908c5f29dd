"""What the ledger needs of whoever remembers records."""

from __future__ import annotations

from typing import Protocol

from gateway.pipeline.lookup import Record


class Remembered(Protocol):
    def forget(self, record: Record) -> None:
        """The record has changed in the store."""

    def learn(self, record: Record, asked: float) -> None:
        """The store has leased the record in answer to what was asked at `asked`, on the monotonic clock."""

    def leased(self, record: Record) -> bool:
        """Whether no change of the record can have answered yet."""

    def lease_left(self, record: Record) -> float:
        """For how many more seconds it is leased; 0 where it is not."""
