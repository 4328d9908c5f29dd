"""All leases of this worker: found by whose bucket they are of, and bounded in number."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable

from .bucket import Bucket
from .lease import Lease

# A tenant that has more loses its own, never another's; there are so many owners, of whom the least used go first.
_OWN, _OWNERS, _STRANGERS = 256, 20_000, 2_000


class Book:
    """`let_go` is told of a lease that is dropped while it lives. `name` begins every epoch's.

    Owners are tags of the store. Those of client addresses, which anybody can make up, are bounded apart from the others.
    """

    def __init__(self, name: str, let_go: Callable[[Lease], None]) -> None:
        self._name = name
        self._let_go = let_go
        self._epochs = 0
        self._owners: OrderedDict[str, OrderedDict[Hashable, Lease]] = OrderedDict()
        self._strangers: OrderedDict[str, OrderedDict[Hashable, Lease]] = OrderedDict()
        self._living: dict[Lease, None] = {}
        self._places: defaultdict[str, set[Lease]] = defaultdict(set)

    @property
    def living(self) -> Iterable[Lease]:
        """Those that the store has to be told of."""
        return tuple(self._living)

    def find(self, tag: str, name: Hashable) -> Lease | None:
        shelf = self._shelf(tag)
        owned = shelf.get(tag)
        lease = None if owned is None else owned.get(name)
        if owned is None or lease is None:
            return None
        # What is wanted goes last.
        shelf.move_to_end(tag)
        owned.move_to_end(name)
        return None if lease.over else lease

    def last(self, tag: str, name: Hashable) -> Lease | None:
        """The one that was opened last, though it may be over: it tells what is known of the bucket."""
        owned = self._shelf(tag).get(tag)
        return None if owned is None else owned.get(name)

    def open(self, tag: str, name: Hashable, bucket: Bucket) -> Lease:
        """A new lease of nothing yet."""
        self._epochs += 1
        lease = Lease(bucket, f"{self._name}-{self._epochs}")
        if (before := self.last(tag, name)) is not None:
            lease.left, lease.told_at = before.left, before.told_at
        shelf = self._shelf(tag)
        owned = shelf.setdefault(tag, OrderedDict())
        shelf.move_to_end(tag)
        owned[name] = lease
        owned.move_to_end(name)
        if len(owned) > _OWN:
            self._drop(owned.popitem(last=False)[1])
        if len(shelf) > (_STRANGERS if shelf is self._strangers else _OWNERS):
            for dropped in shelf.popitem(last=False)[1].values():
                self._drop(dropped)
        return lease

    def enliven(self, lease: Lease) -> None:
        if lease not in self._living:
            self._living[lease] = None
            for place in lease.bucket.places:
                self._places[place.units].add(lease)

    def bury(self, lease: Lease) -> None:
        """There is nothing to be told of it any more."""
        if lease in self._living:
            del self._living[lease]
            for place in lease.bucket.places:
                holders = self._places[place.units]
                holders.discard(lease)
                if not holders:
                    del self._places[place.units]

    def at(self, units: str) -> Iterable[Lease]:
        """Those that live and are noted in the store under this key."""
        return tuple(self._places.get(units, ()))

    def _drop(self, lease: Lease) -> None:
        if lease.lives:
            self._let_go(lease)

    def _shelf(self, tag: str) -> OrderedDict[str, OrderedDict[Hashable, Lease]]:
        return self._strangers if tag.startswith("client:") else self._owners
