"""The platform's own API behind the real protocol: bodies that come whole, in pieces and too large."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from .conftest import World

TENANTS = "/api/v1/tenants"


@pytest.fixture
def key(world: World) -> dict[str, str]:
    """Of the platform."""
    return {"X-Api-Key": world.mint("main", frozenset({"read:tenants", "write:tenants"}))}


def pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 7):
        yield body[start : start + 7]


def test_a_tenant_is_made_whether_the_body_comes_whole_or_in_pieces(world: World, key: dict[str, str]) -> None:
    with httpx.Client(base_url=world.gateway.public_url, headers=key, trust_env=False) as client:
        for content in (b'{"name": "Whole"}', pieces(b'{"name": "In pieces"}')):
            answer = client.post(TENANTS, content=content)
            assert answer.status_code == 201, answer.text
            assert client.get(f"{TENANTS}/{answer.json()['id']}").headers["etag"] == answer.headers["etag"]


def test_a_tenant_is_served_as_soon_as_it_is_made(world: World, key: dict[str, str]) -> None:
    slug = f"t-{uuid4().hex[:12]}"
    world.gateway.public.post(TENANTS, json={"name": "New", "slug": slug}, headers=key).raise_for_status()
    answer = world.gateway.public.get("/api/things", headers={**key, "X-Tenant": slug})
    assert answer.status_code == 200


def test_a_body_that_is_too_large_is_refused(world: World, key: dict[str, str]) -> None:
    for content in (b"x" * (1 << 20 | 1), iter([b"x" * (1 << 20), b"x"])):
        answer = world.gateway.public.post(TENANTS, content=content, headers=key)
        assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


def test_anonymous_callers_and_wrong_keys_get_no_further(world: World) -> None:
    assert world.gateway.public.get(TENANTS).status_code == 401
    assert world.gateway.public.get(TENANTS, headers={"X-Api-Key": "tg_live_x"}).json()["code"] == "KEY_INVALID"


def test_an_answer_of_the_gateway_itself_tells_limits_as_any_other(world: World, key: dict[str, str]) -> None:
    answer = world.gateway.public.get(TENANTS, headers=key)
    assert answer.status_code == 200
    assert {"ratelimit", "ratelimit-policy"} <= set(answer.headers)
