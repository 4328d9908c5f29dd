"""Looking for a proof in the DNS, over a real resolver's protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.errors import RESOLVER_UNAVAILABLE, Refused
from gateway.registry.proof import Proof
from tests.registry.dns_server import Zone, served

NAME = "_tenantgate.acme.example"


@pytest.fixture
async def zone() -> AsyncIterator[Zone]:
    async with served() as zone:
        yield zone


async def test_all_texts_of_the_name_are_found(zone: Zone) -> None:
    zone.texts[NAME] = ["tenantgate-verify=abc", "v=spf1 -all"]
    assert sorted(await Proof(zone.address, 5).texts(NAME)) == ["tenantgate-verify=abc", "v=spf1 -all"]
    assert zone.asked == [(NAME, False)]


async def test_a_text_in_pieces_is_one(zone: Zone) -> None:
    zone.texts[NAME] = ["x" * 600]
    assert await Proof(zone.address, 5).texts(NAME) == ("x" * 600,)


async def test_what_does_not_fit_a_datagram_comes_over_tcp(zone: Zone) -> None:
    zone.only_tcp, zone.texts[NAME] = True, ["abc"]
    assert await Proof(zone.address, 5).texts(NAME) == ("abc",)
    assert zone.asked == [(NAME, False), (NAME, True)]


async def test_an_alias_is_followed(zone: Zone) -> None:
    zone.aliases[NAME], zone.texts["proofs.example"] = "proofs.example", ["abc"]
    assert await Proof(zone.address, 5).texts(NAME) == ("abc",)


@pytest.mark.parametrize("known", [False, True])
async def test_where_there_is_nothing_nothing_is_found(zone: Zone, known: bool) -> None:
    if known:
        zone.aliases[NAME] = "elsewhere.example"
    assert await Proof(zone.address, 5).texts(NAME) == ()


async def test_what_was_not_there_is_looked_for_again(zone: Zone) -> None:
    proof = Proof(zone.address, 5)
    assert await proof.texts(NAME) == ()
    zone.texts[NAME] = ["abc"]
    assert await proof.texts(NAME) == ("abc",)


@pytest.mark.parametrize("fault", ["silent", "failing"])
async def test_a_resolver_that_does_not_answer_is_told_from_a_proof_that_is_not_there(zone: Zone, fault: str) -> None:
    setattr(zone, fault, True)
    with pytest.raises(Refused) as refused:
        await Proof(zone.address, 0.2).texts(NAME)
    assert refused.value.problem is RESOLVER_UNAVAILABLE
    assert refused.value.retry_after


async def test_few_look_ups_run_at_once_and_the_others_when_those_are_done(zone: Zone) -> None:
    zone.silent = True
    proof = Proof(zone.address, 30)
    tasks = [asyncio.create_task(proof.texts(f"n{number}.example")) for number in range(40)]
    async with asyncio.timeout(20):
        while len(asked_for(zone)) < 16:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert len(asked_for(zone)) == 16
        zone.silent = False
        for task in tasks[:16]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert len(asked_for(zone)) == 40
    assert [task.result() for task in tasks[16:]] == [()] * 24


def asked_for(zone: Zone) -> set[str]:
    return {name for name, _ in zone.asked}
