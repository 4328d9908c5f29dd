"""`tenantgate usage export`, against a gateway and a receiver that are real: what was used is billed, and once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.usage import usage
from gateway.store.connect import Store
from gateway.store.keyspace import tenant_tag
from tests.billing.biller import Biller, serving

from .conftest import World
from .stack import ADMIN_KEY

LAST_MONTH = (datetime.now(UTC).date().replace(day=1) - timedelta(days=1)).replace(day=1)
PERIOD = LAST_MONTH.isoformat()[:7]


@pytest.fixture
def biller() -> Iterator[Biller]:
    with serving() as biller:
        yield biller


@pytest.fixture
def sink() -> str:
    return f"s-{uuid4().hex[:8]}"


def count(world: World, tenant_id: str, units: int, day: date = LAST_MONTH) -> None:
    """As if the ledger had, last month."""

    async def write() -> None:
        store = Store(world.store_url, prefix=world.prefix, deadline=5)
        number = int(datetime.combine(day, datetime.min.time(), UTC).timestamp()) // 86400
        key = store.keys.usage(tenant_tag(UUID(tenant_id)), PERIOD)
        await store.data.command("HINCRBY", key, f"emails {number}", units)
        await store.close()

    asyncio.run(write())


def exported(world: World, form: str, sink: str, *options: str, key: str = ADMIN_KEY) -> Result:
    args = ["export", "--period", PERIOD, "--format", form, "--sink", sink, "--admin-url", world.gateway.admin_url]
    variables = {"TENANTGATE_ADMIN_KEY": key, "TENANTGATE_BILLING_TOKEN": "sk_test_1", "NO_PROXY": "127.0.0.1"}
    return CliRunner(env=variables).invoke(usage, [*args, *options])


@pytest.mark.parametrize("form", ["stripe", "cloudevents"])
def test_what_was_used_is_billed_once_however_often_it_is_exported(world: World, biller: Biller, sink: str, form: str) -> None:
    mine = world.customer(stripe_customer_id="cus_1")
    count(world, mine.id, 7)
    for _ in range(2):
        result = exported(world, form, sink, "--post", biller.url)
        assert result.exit_code == 0, result.output
    ours = [event for event in biller.events.values() if "cus_1" in json.dumps(event)]
    assert sum(event["units"] for event in ours) >= 7
    assert (biller.duplicates, biller.authorizations) == (0, {"Bearer sk_test_1"})
    before = biller.units
    count(world, mine.id, 2)
    assert exported(world, form, sink, "--post", biller.url).exit_code == 0
    assert biller.units == before + 2


def test_what_was_taken_while_the_export_broke_off_is_not_billed_again(world: World, biller: Biller, sink: str) -> None:
    mine = world.customer(stripe_customer_id="cus_2")
    count(world, mine.id, 7)
    count(world, mine.id, 5, LAST_MONTH + timedelta(days=1))
    # The receiver takes the first event, and the exporter never hears of it.
    biller.statuses, biller.takes = [403], True
    result = exported(world, "stripe", sink, "--post", biller.url)
    assert (result.exit_code, len(biller.events)) == (1, 1)
    assert "the rest waits for the next run" in result.output
    count(world, mine.id, 100)
    assert exported(world, "stripe", sink, "--post", biller.url).exit_code == 0
    assert biller.duplicates == 1
    ours = [event for event in biller.events.values() if event["payload[stripe_customer_id]"] == "cus_2"]
    assert sorted(event["units"] for event in ours) == [5, 7]
    assert exported(world, "stripe", sink, "--post", biller.url).exit_code == 0
    assert sum(event["units"] for event in biller.events.values() if event["payload[stripe_customer_id]"] == "cus_2") == 112


def test_without_a_receiver_the_events_are_printed_and_stay_to_be_sent(world: World, biller: Biller, sink: str) -> None:
    count(world, world.customer(stripe_customer_id="cus_3").id, 7)
    printed = [exported(world, "stripe", sink).output for _ in range(2)]
    assert printed[0] == printed[1]
    events = [json.loads(line) for line in printed[0].splitlines()]
    assert {"stripe_customer_id": "cus_3", "value": "7"} in [event["payload"] for event in events]
    assert exported(world, "stripe", sink, "--post", biller.url).exit_code == 0
    assert {event["identifier"] for event in events} <= biller.events.keys()


def test_a_wrong_key_is_told(world: World, sink: str) -> None:
    result = exported(world, "stripe", sink, key="x" * 32)
    assert (result.exit_code, "ADMIN_KEY_INVALID" in result.output) == (1, True)


def test_what_a_tenant_has_used_is_shown(world: World) -> None:
    mine = world.customer()
    count(world, mine.id, 7)
    args = ["show", mine.id, "--period", PERIOD, "--by-day", "--admin-url", world.gateway.admin_url]
    result = CliRunner(env={"TENANTGATE_ADMIN_KEY": ADMIN_KEY}).invoke(usage, args)
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["days"][0]["metrics"]["emails"] == 7
