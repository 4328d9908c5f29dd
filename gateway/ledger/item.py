"""What an exchange with the store consists of: items, each told to every group that it has keys in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from gateway.store.wire import Part

from .bucket import Index

Replies = Sequence[Sequence[int]]


class Item(Protocol):
    answers: ClassVar[int]
    """How many numbers each call answers it by."""

    @property
    def at(self) -> tuple[str, ...]:
        """One key of each group that it has keys in: it is told to each of them."""

    def parts(self, index: Index) -> Sequence[Part]:
        """As the call that `index` belongs to has it. The first time, when it is sent, settles what it says."""

    def answered(self, replies: Replies, asked: float, now: float) -> Iterable[Item]:
        """What follows from it, to be told next. `replies`: of each group, in the order of `at`; `asked`: when it was sent
        first. Both times on the monotonic clock."""


class Silent:
    """An item that is not answered by any number."""

    answers: ClassVar[int] = 0

    def answered(self, replies: Replies, asked: float, now: float) -> Iterable[Item]:
        return ()


@dataclass(slots=True, eq=False)
class Acknowledged(Silent):
    """Another one that is not answered by any number, and whether it was told: `done`."""

    item: Item
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def at(self) -> tuple[str, ...]:
        return self.item.at

    def parts(self, index: Index) -> Sequence[Part]:
        return self.item.parts(index)

    def answered(self, replies: Replies, asked: float, now: float) -> Iterable[Item]:
        if not self.done.done():
            self.done.set_result(None)
        return self.item.answered(replies, asked, now)
