"""How many leases a worker keeps, and whose go first."""

from __future__ import annotations

from gateway.ledger.book import _OWN, _OWNERS, _STRANGERS, Book
from gateway.ledger.bucket import Lent, SlotBucket
from gateway.ledger.lease import Lease

BUCKET = SlotBucket(Lent("units", "ends"), 5)


def book() -> tuple[Book, list[Lease]]:
    dropped: list[Lease] = []
    return Book("w", dropped.append), dropped


def test_an_owner_that_floods_loses_its_own_leases_and_nobody_elses() -> None:
    kept, dropped = book()
    quiet = kept.open("quiet", "rate", BUCKET)
    first = kept.open("loud", 0, BUCKET)
    first.idle = 1
    for number in range(1, 10 * _OWN):
        kept.open("loud", number, BUCKET)
    assert kept.find("quiet", "rate") is quiet
    assert kept.find("loud", 0) is None
    # What it held goes back.
    assert dropped == [first]


def test_of_too_many_owners_those_that_were_wanted_last_stay() -> None:
    kept, _ = book()
    wanted, forgotten = kept.open("wanted", 0, BUCKET), kept.open("forgotten", 0, BUCKET)
    for number in range(_OWNERS - 1):
        kept.open(f"tenant-{number}", 0, BUCKET)
        assert kept.find("wanted", 0) is wanted
    assert kept.find("forgotten", 0) is None
    assert not forgotten.over


def test_client_addresses_push_out_no_tenant() -> None:
    kept, _ = book()
    tenant, address = kept.open("tenant", 0, BUCKET), kept.open("client:0", 0, BUCKET)
    for number in range(1, _STRANGERS + 1):
        kept.open(f"client:{number}", 0, BUCKET)
    assert kept.find("tenant", 0) is tenant
    assert kept.find("client:0", 0) is None
    assert not address.over
