"""One request as it is put to the store, and what the answers of all groups that were asked come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gateway.pipeline.demand import Quota, Rate, Slot, Standing
from gateway.pipeline.lookup import Record
from gateway.pipeline.question import Admit
from gateway.store.connect import Store
from gateway.store.keyspace import ONE_GROUP
from gateway.store.lease import KEPT_MS, RECORD_LEASE_MS
from gateway.store.wire import Part

from .charge import Charge, draw
from .item import Item
from .items import Drop, Forget, HeldResource
from .keys import Keys
from .lease import Lease
from .lease_items import Surplus
from .naming import period_bounds, record_keys
from .wanted import NOTHING, Numbers, Wanted

# Without a quota any time will do, and no month's end costs a second call.
_ANY_TIME = (0, 1 << 52)
_FITS = Numbers(1, 0, 0, 0)


@dataclass(slots=True)
class Ask:
    """Made anew for each try, `began` on the monotonic clock. `groups`: those that are to be asked, in their order; `asked`:
    those that were; `lent`: those that have lent what is theirs, while another one decides; `answers`: of each that said what
    fits, the numbers of each demand."""

    store: Store
    question: Admit
    wanted: Sequence[Wanted]
    period: str
    began: float = 0.0
    charge: Charge = field(default_factory=Charge)
    groups: Sequence[str] = ONE_GROUP
    asked: list[str] = field(default_factory=list)
    lent: list[str] = field(default_factory=list)
    answers: dict[str, Sequence[Numbers]] = field(default_factory=dict)

    @property
    def asked_for(self) -> Iterator[Lease]:
        """Those leases of which the store decides."""
        return (lease for one in self.wanted if (lease := one.asked_for) is not None)

    @property
    def nonces(self) -> Iterator[str]:
        return (one.nonce for one in self.wanted if one.nonce is not None)

    @property
    def resources(self) -> tuple[HeldResource, ...]:
        return tuple(one.resource for one in self.wanted if one.resource is not None)

    def begin(self, now: float, leased: Callable[[Record], bool]) -> None:
        """Set aside what is idle here, and see which groups are to be asked for the rest. Called once."""
        self.began = now
        for one in self.wanted:
            one.hold(now)
        if not self.store.keys.sharded:
            return
        needed = set[str]()
        for one in self.wanted:
            one.groups = self.store.keys.groups(one.keys())
            needed.update(one.groups)
        needed.update(self._group(record) for record in self.question.basis if not leased(record))
        # All go by one order, so who waits for something holds only what comes before it. By its name a tenant's comes before
        # its organization's. A call without keys still tells the time.
        self.groups = sorted(needed or set(map(self._group, self.question.basis)) or [""])

    def records(self, group: str) -> Sequence[Record]:
        """Those of the basis that are kept there."""
        if not self.store.keys.sharded:
            return self.question.basis
        return [record for record in self.question.basis if self._group(record) == group]

    def call(
        self, group: str, store_time: int | None, now: float, *, undecided: bool, recall: bool
    ) -> tuple[list[str], list[Part]]:
        """Keys and arguments of the script. `undecided`: another group is asked afterwards; `recall`: others may be told to
        give back what is idle."""
        keys, records = Keys(self.store.keys, group), self.records(group)
        counted = any(isinstance(one.demand, Quota) for one in self.wanted)
        start, end = period_bounds(self.period) if counted else _ANY_TIME
        args: list[Part] = ["" if store_time is None else store_time, start, end, self.store.keys.changes if recall else ""]
        args += (self.store.worker, RECORD_LEASE_MS, KEPT_MS, int(undecided), len(records))
        for record in records:
            args += (*map(keys.index, record_keys(self.store.keys, record)), record.version)
        for one in self.wanted:
            args += one.parts(keys.index, now) if group in one.groups else NOTHING
        self.asked.append(group)
        return keys.named, args

    def answered(self, group: str, numbers: Sequence[int], *, lent: bool) -> None:
        """What the script said of each demand. `lent`: all of it fits, and another group decides."""
        self.answers[group] = [Numbers(*numbers[place : place + 4]) for place in range(0, len(numbers), 4)]
        if lent:
            self.lent.append(group)
            for lease in self._leases(group):
                lease.lend(self.began)

    def unanswered(self, group: str) -> None:
        """Whether the call has run is not known: what it has lent comes back with the end of the epochs."""
        for lease in self._leases(group):
            lease.give_up()

    def learn(self, now: float, *, granted: bool) -> None:
        """Note what was lent. Where the request was `granted`, `charge` is what it holds."""
        goes_on = self.question.stale_for is not None
        charge = self.charge = Charge(resources=self.resources, goes_on=goes_on) if granted else Charge()
        for one, numbers in zip(self.wanted, self._numbers(), strict=True):
            if numbers is not None:
                self._learn(one, numbers, now, granted)
                if granted and isinstance(one.demand, Quota):
                    charge.units += (draw(self.store, self.question.call, one.demand, one.lease, self.period),)
                elif granted and isinstance(one.demand, Slot) and one.lease is not None and numbers.fits == 1:
                    charge.slots += (one.lease,)
        if granted:
            self.release()

    def let_go(self) -> None:
        """The request was not admitted: what is held here is idle again."""
        for one in self.wanted:
            if one.held and one.lease is not None:
                one.lease.let_go(one.units)

    def surplus(self) -> Iterator[Item]:
        """The request is granted: what gives back units that one group has lent beside, and another one has not."""
        for number, one in enumerate(self.wanted if len(self.groups) > 1 else ()):
            if len(one.groups) > 1 and one.lease is not None and not one.lease.over:
                lent = {group: self.answers[group][number].extra for group in one.groups}
                for place, group in one.places(self.store):
                    if (units := lent[group] - min(lent.values())) > 0:
                        yield Surplus(one.lease, place, units)

    def returns(self) -> Iterator[Item]:
        """The request is not admitted, though groups have lent what is theirs: what gives that back. Not under a lease that is
        over: what nobody knows of comes back anyway there, and must not twice."""
        for number, one in enumerate(self.wanted if len(self.groups) > 1 else ()):
            for place, group in one.places(self.store):
                units = 0
                if group in self.lent:
                    fits, _, _, extra = self.answers[group][number]
                    units = extra + (one.units if one.takes(fits) else 0)
                elif group not in self.asked and one.said is not None:
                    # The other place was told that these came back.
                    units = one.said.idle
                if units and one.lease is not None and not one.lease.over:
                    yield Surplus(one.lease, place, units)
        group_of = self.store.keys.group
        yield from (Forget(nonce) for nonce in self.nonces if group_of(nonce) in self.lent)
        for held in self.resources:
            if held.holder is not None and group_of(held.key) in self.lent:
                yield Drop(held.key, held.holder)

    def release(self) -> None:
        """It is decided: what was granted is noted, or goes back. Called once."""
        for one in self.wanted:
            if one.lease is not None and one.said is not None and one.said.extra:
                one.lease.refilling = False
        for group in self.lent:
            for lease in self._leases(group):
                lease.pending -= 1

    def standings(self, granted: bool, now: float, period_left: float) -> tuple[Standing, ...]:
        """Of all demands, but those that nobody was asked about, since others were refused before."""
        return tuple(
            one.standing(granted, numbers, now, period_left)
            for one, numbers in zip(self.wanted, self._numbers(), strict=True)
            if numbers is not None
        )

    def _numbers(self) -> Iterable[Numbers | None]:
        """Of each demand, what its groups have answered together. None: nobody has refused it, and not all were asked."""
        return self.answers[self.groups[0]] if len(self.groups) == 1 else self._joined()

    def _joined(self) -> Iterator[Numbers | None]:
        for number, one in enumerate(self.wanted):
            found = [self.answers[group][number] for group in one.groups if group in self.answers]
            refused = [each.fits for each in found if each.fits != 1]
            if not one.groups:
                yield _FITS
            elif refused or len(found) == len(one.groups):
                # Of what a group has no key of, it says 0.
                first, second = sum(each.first for each in found), sum(each.second for each in found)
                yield Numbers(refused[0] if refused else 1, first, second, min(each.extra for each in found))
            else:
                yield None

    def _learn(self, one: Wanted, numbers: Numbers, now: float, granted: bool) -> None:
        demand, lease = one.demand, one.lease
        if lease is None:
            return
        lent = one.held
        if not one.held:
            extra = numbers.extra if granted else 0
            standing = one.standing(granted, numbers, now, 0.0)
            lease.learn(extra, (standing.remaining or 0) - extra, standing.reset, self.began, now)
            # A cell is used at once where the last group has granted it.
            lent = one.takes(numbers.fits) and (not isinstance(demand, Rate) or one.groups[0] in self.lent)
            if granted and lent:
                lease.busy += one.units
                lease.keep(self.began)
        if granted and lent and (one.held or isinstance(demand, Rate)):
            lease.hand_out(one.units)
            # It is used now, and not when it was set aside.
            lease.wanted_at = max(lease.wanted_at, now)

    def _group(self, record: Record) -> str:
        return self.store.keys.group(record_keys(self.store.keys, record)[0])

    def _leases(self, group: str) -> Iterator[Lease]:
        return (lease for one in self.wanted if (lease := one.asked_for) is not None and group in one.groups)
