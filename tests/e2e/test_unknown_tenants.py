"""Ten thousand tenants that don't exist, each named in a credential that looks right: nothing is kept for any of them."""

from __future__ import annotations

from collections import Counter
from uuid import uuid4

import httpx
import pytest
from redis import Redis

from gateway.tenancy.keytext import new_api_key, new_widget_key

from .conftest import World
from .oddities import CLOSE
from .stack import Customer
from .wire import exchange, head, resident

TENANTS, AT_ONCE, WARM = 10_000, 100, 2_000
MEGABYTE = 1 << 20


def asking(number: int, *fields: bytes) -> bytes:
    """By turns a token, a key and a widget key of nobody; each to a path of its own."""
    line, nobody = f"GET /api/{uuid4().hex} HTTP/1.1", Customer("", f"t-{uuid4().hex[:12]}", "", "", "")
    if number % 3 == 0:
        return head(line, nobody, *fields)
    if number % 3 == 1:
        return head(line, None, f"X-API-Key: {new_api_key('tg', 'live')}".encode(), *fields)
    return head(line, None, f"X-Widget-Key: {new_widget_key()}".encode(), b"Origin: https://nobody.example", *fields)


def ask(world: World, begin: int, end: int) -> Counter[tuple[int, str]]:
    """What was answered, and how often. All on connections that many requests share."""
    answers: Counter[tuple[int, str]] = Counter()
    for first in range(begin, end, AT_ONCE):
        last = first + AT_ONCE - 1
        requests = [asking(number, *([CLOSE] if number == last else [])) for number in range(first, last + 1)]
        answers.update((reply.status, reply.problem["code"]) for reply in exchange(world, b"".join(requests)))
    return answers


def labels(world: World) -> set[str]:
    lines = httpx.get(f"{world.gateway.admin_url}/metrics", trust_env=False, timeout=20).text.splitlines()
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


@pytest.mark.slow
def test_ten_thousand_unknown_tenants_leave_nothing_behind(world: World) -> None:
    customer, seen = world.customer(), len(world.upstream.seen)
    with Redis(unix_socket_path=world.store_url.removeprefix("unix://")) as store:
        answers = ask(world, 0, WARM)
        before, keys, memory = labels(world), store.dbsize(), resident(world)
        answers += ask(world, WARM, TENANTS)
        grown = resident(world) - memory
        print(f"memory grown by {grown / MEGABYTE:.1f} MiB within {TENANTS - WARM} unknown tenants")
        assert labels(world) == before
        assert store.dbsize() <= keys
    assert sum(answers.values()) == TENANTS
    assert {status for status, _ in answers} == {401}
    assert grown < 6 * MEGABYTE
    assert len(world.upstream.seen) == seen
    assert world.gateway.public.get("/api/x", headers=customer.bearer()).status_code == 200
