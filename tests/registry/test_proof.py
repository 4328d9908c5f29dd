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


async def test_few_look_ups_run_at_once(zone: Zone) -> None:
    zone.silent = True
    proof = Proof(zone.address, 0.3)
    outcomes = await asyncio.gather(*(proof.texts(f"n{i}.example") for i in range(40)), return_exceptions=True)
    assert all(isinstance(one, Refused) for one in outcomes)
    assert len({name for name, _ in zone.asked}) == 16
