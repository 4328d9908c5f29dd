"""What happens to tenants reaches those who want to know: in order, until it is taken, and nobody else."""

from __future__ import annotations

import asyncio
import hmac
import logging
from base64 import b64decode, b64encode
from hashlib import sha256

import pytest

import gateway.webhooks.queue as queue_module
from gateway.errors import NOT_FOUND, Refused
from gateway.store.connect import Store
from gateway.tenancy.tenant import Status
from gateway.webhooks.address import Rules
from gateway.webhooks.backoff import DELAYS
from gateway.webhooks.dispatch import PER_OWNER, PER_WEBHOOK
from gateway.webhooks.event import trial
from gateway.webhooks.queue import Target, Told
from tests.registry.samples import Registry
from tests.registry.test_secrecy import dump
from tests.webhooks.receiver import Delivery, Receiver, status
from tests.webhooks.samples import Stand, stand_over


def is_signed(delivery: Delivery, secret: str) -> bool:
    """As a receiver checks it, by what Standard Webhooks says."""
    signed = f"{delivery.headers['webhook-id']}.{delivery.headers['webhook-timestamp']}.".encode() + delivery.body
    wanted = b64encode(hmac.new(b64decode(secret.removeprefix("whsec_")), signed, sha256).digest()).decode()
    return f"v1,{wanted}" in delivery.headers["webhook-signature"].split(" ")


async def test_a_change_is_told_to_the_platform_and_to_its_own_tenant(stand: Stand, receiver: Receiver) -> None:
    own, other = await stand.tenant("Own"), await stand.tenant("Other")
    _, of_all = await stand.hook(receiver.url)
    _, of_own = await stand.hook(receiver.url, own.id)
    _, of_other = await stand.hook(receiver.url, other.id)
    await stand.suspend(own.id)
    await stand.turn()
    assert receiver.types == ["tenant.suspended"] * 2
    assert {name for name in (of_all, of_own, of_other) for got in receiver.got if is_signed(got, name)} == {of_all, of_own}
    event = receiver.got[0].event
    assert event["id"] == receiver.got[0].headers["webhook-id"] == receiver.got[1].headers["webhook-id"]
    assert (event["tenant_id"], event["org"]) == (own.typeid, "platform")
    assert event["data"]["changed"]["status"] == {"old": "active", "new": "suspended"}


async def test_only_what_was_asked_for_and_happens_afterwards_is_told(stand: Stand, receiver: Receiver) -> None:
    tenant = await stand.tenant()
    await stand.hook(receiver.url, events=("tenant.suspended",))
    await stand.suspend(tenant.id)
    await stand.registry.tenants.set_status(tenant.id, Status.ACTIVE)
    await stand.turn()
    assert receiver.types == ["tenant.suspended"]


async def test_who_did_it_and_what_is_the_platforms_own_is_not_told(stand: Stand, receiver: Receiver) -> None:
    tenant = await stand.tenant()
    await stand.hook(receiver.url, tenant.id)
    await stand.registry.tenants.set_status(tenant.id, Status.SUSPENDED, "unpaid")
    await stand.turn()
    assert receiver.got[0].event.keys() == {"id", "type", "created_at", "org", "tenant_id", "data"}
    assert b"system" not in receiver.got[0].body


async def test_what_fails_is_tried_again_as_it_was_and_holds_back_its_own_tenant_only(stand: Stand, receiver: Receiver) -> None:
    failing, other = await stand.tenant("Failing"), await stand.tenant("Other")
    held, _ = await stand.hook(receiver.url)
    receiver.answer = lambda delivery: status(503 if delivery.tenant == failing.typeid else 204)
    for tenant in (failing, other):
        await stand.suspend(tenant.id)
        await stand.registry.tenants.set_status(tenant.id, Status.ACTIVE)
    await stand.turn()
    told = [(got.tenant, got.event["type"]) for got in receiver.got]
    assert sorted(told) == sorted(
        [
            (failing.typeid, "tenant.suspended"),
            (other.typeid, "tenant.suspended"),
            (other.typeid, "tenant.unsuspended"),
        ]
    )
    first = next(got for got in receiver.got if got.tenant == failing.typeid)
    receiver.got.clear()
    receiver.answer = lambda delivery: status(204)
    stand.registry.clock.time += DELAYS[0] - 0.1
    await stand.turn()
    assert receiver.got == []
    stand.registry.clock.time += 0.2
    await stand.turn()
    assert receiver.types == ["tenant.suspended", "tenant.unsuspended"]
    assert receiver.got[0].body == first.body
    assert await stand.waiting(held) == 0


async def test_what_is_never_taken_becomes_a_dead_letter_that_can_be_sent_again(stand: Stand, receiver: Receiver) -> None:
    tenant = await stand.tenant()
    held, secret = await stand.hook(receiver.url)
    receiver.answer = lambda delivery: status(500)
    await stand.suspend(tenant.id)
    await stand.turn()
    for delay in DELAYS:
        stand.registry.clock.time += delay
        await stand.turn()
    assert len(receiver.got) == len(DELAYS) + 1
    (letter,), end = await stand.letters.dead(Target.of(held), 10, None)
    assert (letter.told.attempt, letter.told.status, end) == (len(DELAYS) + 1, 500, None)
    assert letter.event.body == receiver.got[0].body
    noted, _ = await stand.letters.attempts(Target.of(held), 100, None)
    assert [one.told.fate for one in noted] == ["dead", *["again"] * len(DELAYS)]
    receiver.answer = lambda delivery: status(200)
    receiver.got.clear()
    await stand.letters.replay(Target.of(held), letter.id, stand.registry.clock.now())
    await stand.turn()
    assert receiver.got[0].body == letter.event.body
    assert is_signed(receiver.got[0], secret)
    with pytest.raises(Refused) as caught:
        await stand.letters.replay(Target.of(held), letter.id, stand.registry.clock.now())
    assert caught.value.problem is NOT_FOUND
    assert await stand.letters.dead(Target.of(held), 10, None) == ([], None)


async def test_all_dead_letters_are_sent_again_in_their_order(
    stand: Stand, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "WAITING_MAX", 1)
    held, _ = await stand.hook(receiver.url)
    tenants = [await stand.tenant(f"T{number}") for number in range(4)]
    receiver.answer = lambda delivery: status(204)
    await stand.turn()
    letters, _ = await stand.letters.dead(Target.of(held), 10, None)
    assert [letter.event.tenant for letter in reversed(letters)] == [tenant.id for tenant in tenants[1:]]
    assert receiver.types == ["tenant.created"]
    assert await stand.letters.replay_all(Target.of(held), stand.registry.clock.now()) == (3, 0)
    await stand.turn()
    assert {got.tenant for got in receiver.got} == {tenant.typeid for tenant in tenants}


async def test_an_endpoint_says_itself_when_it_wants_to_be_asked_again(stand: Stand, receiver: Receiver) -> None:
    tenant = await stand.tenant()
    await stand.hook(receiver.url)
    receiver.answer = lambda delivery: status(429, "Retry-After: 60")
    await stand.suspend(tenant.id)
    await stand.turn()
    for seconds, count in ((59, 1), (2, 2)):
        stand.registry.clock.time += seconds
        await stand.turn()
        assert len(receiver.got) == count


async def test_an_endpoint_that_is_gone_is_told_nothing_more(stand: Stand, receiver: Receiver) -> None:
    tenant = await stand.tenant()
    held, _ = await stand.hook(receiver.url)
    receiver.answer = lambda delivery: status(410)
    await stand.suspend(tenant.id)
    await stand.registry.tenants.set_status(tenant.id, Status.ACTIVE)
    await stand.turn()
    assert receiver.types == ["tenant.suspended"]
    found = await stand.registry.webhooks.find("platform", held.webhook.id)
    assert not found.webhook.enabled
    letters, _ = await stand.letters.dead(Target.of(held), 10, None)
    assert [letter.event.type for letter in letters] == ["tenant.unsuspended", "tenant.suspended"]


async def test_a_redirect_is_not_followed(stand: Stand, receiver: Receiver) -> None:
    tenant = await stand.tenant()
    held, _ = await stand.hook(receiver.url)
    receiver.answer = lambda delivery: status(307, f"Location: {receiver.url}/elsewhere")
    await stand.suspend(tenant.id)
    await stand.turn()
    assert len(receiver.got) == 1
    (noted,), _ = await stand.letters.attempts(Target.of(held), 10, None)
    assert (noted.told.status, noted.told.fate) == (307, "again")


async def test_of_an_endless_answer_only_the_beginning_is_read(stand: Stand, receiver: Receiver) -> None:
    tenant = await stand.tenant()
    held, _ = await stand.hook(receiver.url)
    receiver.answer = lambda delivery: b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * (1 << 18)
    await stand.suspend(tenant.id)
    await stand.turn()
    (noted,), _ = await stand.letters.attempts(Target.of(held), 10, None)
    assert noted.told.fate == "done"


async def test_an_answer_that_does_not_come_ends_the_attempt(
    stand: Stand, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.webhooks.send.DEADLINE", 0.2)
    tenant = await stand.tenant()
    held, _ = await stand.hook(receiver.url)
    receiver.open.clear()
    await stand.suspend(tenant.id)
    await stand.turn()
    (noted,), _ = await stand.letters.attempts(Target.of(held), 10, None)
    assert (noted.told.status, noted.told.fate) == (None, "again")


async def test_a_private_address_is_not_connected_to_whatever_its_name(registry: Registry, receiver: Receiver) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.215.14", "127.0.0.1"]

    stand = stand_over(registry, Rules(allow_http=True), resolve)
    tenant = await stand.tenant()
    held, _ = await stand.hook(f"http://hooks.example.com:{receiver.port}/")
    await stand.suspend(tenant.id)
    await stand.turn()
    assert receiver.got == []
    (noted,), _ = await stand.letters.attempts(Target.of(held), 10, None)
    assert noted.told.error == "the host's address is not allowed"


async def test_the_name_is_resolved_once_and_that_address_is_connected_to(registry: Registry, receiver: Receiver) -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    stand = stand_over(registry, resolve=resolve)
    tenant = await stand.tenant()
    await stand.hook(f"http://no-such-name.invalid:{receiver.port}/")
    await stand.suspend(tenant.id)
    await stand.turn()
    assert asked == ["no-such-name.invalid"]
    assert receiver.got[0].headers["host"] == f"no-such-name.invalid:{receiver.port}"


async def test_while_secrets_overlap_either_verifies_and_afterwards_the_new_one_only(stand: Stand, receiver: Receiver) -> None:
    tenant = await stand.tenant()
    held, old = await stand.hook(receiver.url)
    _, new = await stand.registry.webhooks.roll_secret(held, 60)
    for later, suspended in ((0, True), (61, False)):
        stand.registry.clock.time += later
        await stand.registry.tenants.set_status(tenant.id, Status.SUSPENDED if suspended else Status.ACTIVE)
        await stand.turn()
    during, after = receiver.got
    assert (is_signed(during, old), is_signed(during, new)) == (True, True)
    assert (is_signed(after, old), is_signed(after, new)) == (False, True)


async def test_a_deleted_webhook_is_told_nothing_of_what_waits(stand: Stand, receiver: Receiver) -> None:
    tenant = await stand.tenant()
    held, _ = await stand.hook(receiver.url)
    receiver.answer = lambda delivery: status(500)
    await stand.suspend(tenant.id)
    await stand.turn()
    await stand.registry.webhooks.delete(held)
    receiver.got.clear()
    stand.registry.clock.time += DELAYS[0]
    await stand.turn()
    assert receiver.got == []
    assert await stand.waiting(held) == 0


async def test_who_dies_in_the_middle_of_a_delivery_loses_nothing(registry: Registry, receiver: Receiver) -> None:
    dying, next_one = stand_over(registry), stand_over(registry)
    tenant = await dying.tenant()
    await dying.hook(receiver.url)
    receiver.open.clear()
    await dying.suspend(tenant.id)
    await dying.dispatcher.turn()
    await receiver.until(1)
    await dying.dispatcher.close()
    receiver.open.set()
    await next_one.turn()
    assert [got.headers["webhook-id"] for got in receiver.got] == [receiver.got[0].headers["webhook-id"]] * 2


async def test_two_who_follow_the_same_trail_queue_each_event_once(registry: Registry, receiver: Receiver) -> None:
    stands = [stand_over(registry) for _ in range(4)]
    held, _ = await stands[0].hook(receiver.url)
    for number in range(20):
        await stands[0].tenant(f"T{number}")
    await asyncio.gather(*(stand.follower.follow("platform") for stand in stands))
    assert await stands[0].waiting(held) == 20


async def test_a_slow_endpoint_takes_no_more_than_its_part(stand: Stand, receiver: Receiver) -> None:
    await stand.hook(receiver.url)
    for number in range(2 * PER_WEBHOOK):
        await stand.tenant(f"T{number}")
    receiver.open.clear()
    await stand.dispatcher.turn()
    await receiver.until(PER_WEBHOOK)
    await stand.dispatcher.turn()
    receiver.open.set()
    await stand.turn()
    assert len(receiver.got) == 2 * PER_WEBHOOK
    assert receiver.most_at_once == PER_WEBHOOK


async def test_an_owner_of_many_slow_endpoints_leaves_room_for_others(stand: Stand, receiver: Receiver) -> None:
    greedy, modest = await stand.tenant("Greedy"), await stand.tenant("Modest")
    for owner, count in ((greedy, 2 * PER_OWNER), (modest, 1)):
        for _ in range(count):
            await stand.hook(receiver.url, owner.id)
    receiver.open.clear()
    await stand.suspend(greedy.id)
    await stand.suspend(modest.id)
    await stand.dispatcher.turn()
    await receiver.until(PER_OWNER + 1)
    assert {got.tenant for got in receiver.got} == {greedy.typeid, modest.typeid}
    assert receiver.most_at_once == PER_OWNER + 1
    receiver.open.set()
    await stand.turn()


async def test_one_of_two_gateways_delivers_and_the_other_one_goes_on(registry: Registry, receiver: Receiver) -> None:
    first, second = stand_over(registry), stand_over(registry)
    tenant = await first.tenant()
    await first.hook(receiver.url)
    first.dispatcher.start()
    await asyncio.sleep(0.1)
    second.dispatcher.start()
    await first.suspend(tenant.id)
    await receiver.until(1)
    await first.dispatcher.close()
    await first.registry.tenants.set_status(tenant.id, Status.ACTIVE)
    await receiver.until(2)
    await second.dispatcher.close()
    assert receiver.types == ["tenant.suspended", "tenant.unsuspended"]


async def test_no_secret_stands_in_the_store_the_log_or_what_is_sent(
    stand: Stand, receiver: Receiver, store: Store, key_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for library in ("httpx", "httpcore"):
        # As the gateway sets them, see telemetry.logs.
        caplog.set_level(logging.WARNING, library)
    tenant = await stand.tenant()
    held, secret = await stand.hook(f"{receiver.url}/token-in-the-path?token=in-the-query")
    _, rolled = await stand.registry.webhooks.roll_secret(held, 60)
    receiver.answer = lambda delivery: status(500)
    await stand.suspend(tenant.id)
    await stand.turn()
    receiver.answer = lambda delivery: status(410)
    stand.registry.clock.time += DELAYS[0]
    await stand.turn()
    stored = await dump(store, key_prefix)
    assert held.webhook.id.encode() in stored
    seen = stored + caplog.text.encode() + b"".join(got.body for got in receiver.got) + repr(held).encode()
    for canary in (secret, rolled, "token-in-the-path", "in-the-query"):
        for form in (canary, canary.removeprefix("whsec_"), b64decode(secret[6:]).hex()):
            assert form.encode() not in seen


async def test_a_test_does_not_wait_behind_what_fails_and_is_attempted_once(stand: Stand, receiver: Receiver) -> None:
    tenant = await stand.tenant()
    held, _ = await stand.hook(receiver.url, tenant.id)
    receiver.answer = lambda delivery: status(500)
    await stand.suspend(tenant.id)
    await stand.turn()
    event = trial("platform", tenant.id, "2026-06-21T10:00:00+00:00")
    assert await stand.queue.test(Target.of(held), event, stand.registry.clock.now())
    await stand.turn()
    assert receiver.types == ["tenant.suspended", "webhook.test"]
    noted, _ = await stand.letters.attempts(Target.of(held), 1, None)
    assert (noted[0].told.event, noted[0].told.fate) == (event.id, "lost")
    assert await stand.letters.dead(Target.of(held), 10, None) == ([], None)


async def test_only_so_many_tests_wait(stand: Stand, receiver: Receiver) -> None:
    held, _ = await stand.hook(receiver.url)
    now = stand.registry.clock.now()
    added = [await stand.queue.test(Target.of(held), trial("platform", None, "2026-06-21T10:00:00Z"), now) for _ in range(12)]
    assert added == [True] * 10 + [False] * 2


async def test_where_one_address_does_not_answer_another_one_is_asked(registry: Registry, receiver: Receiver) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    stand = stand_over(registry, resolve=resolve)
    tenant = await stand.tenant()
    await stand.hook(f"http://two-addresses.invalid:{receiver.port}/")
    await stand.suspend(tenant.id)
    await stand.turn()
    assert len(receiver.got) == 1


async def test_an_attempt_that_ends_late_settles_nothing(stand: Stand, receiver: Receiver) -> None:
    tenant = await stand.tenant()
    held, _ = await stand.hook(receiver.url)
    await stand.suspend(tenant.id)
    await stand.registry.tenants.set_status(tenant.id, Status.ACTIVE)
    await stand.follower.follow("platform")
    target, lane = Target.of(held), str(tenant.id)
    first = await stand.queue.first(target, lane)
    assert first is not None
    told = Told(first.event.id, first.event.type, lane, 1, "done", stand.registry.clock.now())
    assert [await stand.queue.settle(target, lane, first, told) for _ in range(2)] == [True, False]
    assert await stand.waiting(held) == 1
