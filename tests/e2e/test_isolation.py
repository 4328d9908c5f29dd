"""No practice ever sees or changes a row of the other: the real clinic, its PostgreSQL, every kind of credential."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import uuid4

import httpx
import pytest

from gateway.cli.sign import sign_headers

from .clinic_stack import PEOPLE, PROGRAMS, ClinicWorld, Credential, Practice, by_token, by_widget_key, clinic_world
from .stack import GatewayProcess

USERS = "/api/v1/users"
REQUESTS, WRITES, AT_ONCE = 1000, 60, 50


@pytest.fixture(scope="session")
def world(launch: Callable[..., GatewayProcess], store_socket: Path) -> Iterator[ClinicWorld]:
    with clinic_world(launch, f"unix://{store_socket}") as world:
        yield world


@pytest.fixture
def own(world: ClinicWorld) -> Practice:
    return world.practices[0]


@pytest.fixture
def other(world: ClinicWorld) -> Practice:
    return world.practices[1]


@dataclass(frozen=True)
class Shot:
    """One request of a practice, and what its answer is to be."""

    practice: Practice
    credential: Credential
    method: str
    target: str
    body: bytes = b""
    status: int = 200

    async def fire(self, world: ClinicWorld, client: httpx.AsyncClient) -> None:
        headers = self.credential(world, self.practice, self.method, self.target, self.body)
        answer = await client.request(self.method, self.target, headers=dict(headers), content=self.body)
        belongs_to(self.practice, answer, world, self.status)


def belongs_to(practice: Practice, answer: httpx.Response, world: ClinicWorld, status: int = 200) -> None:
    assert answer.status_code == status, answer.text
    for one in world.practices:
        assert (one.mark in answer.text) == (one is practice), f"{practice.customer.slug} got {answer.text}"


def user(practice: Practice, **fields: object) -> bytes:
    name = f"{uuid4().hex} {practice.mark}"
    usual = {"name": name, "email": f"{uuid4().hex}@example.com", "password": secrets.token_urlsafe(12)}
    return json.dumps({**usual, **fields}).encode()


def users_of(world: ClinicWorld, practice: Practice) -> list[dict[str, object]]:
    answer = world.gateway.public.get(USERS, headers=dict(by_token(world, practice, "GET", USERS, b"")))
    belongs_to(practice, answer, world)
    users: list[dict[str, object]] = answer.json()["users"]
    return users


def shots(world: ClinicWorld) -> list[Shot]:
    """Of both practices in turn, each kind of credential and each call equally often, in an order without a pattern."""
    calls = [("GET", USERS), *(("GET", f"{USERS}/{number}") for number in range(1, len(PEOPLE) + 1))]
    practices = world.practices
    made = [
        Shot(practices[n % 2], PROGRAMS[n // 2 % len(PROGRAMS)], "POST", USERS, user(practices[n % 2]), 201)
        for n in range(WRITES)
    ]
    made += [Shot(practices[n % 2], by_widget_key, "GET", "/api/v1/practice") for n in range(REQUESTS // 10)]
    for n in range(REQUESTS - len(made)):
        method, target = calls[n // 2 // len(PROGRAMS) % len(calls)]
        made.append(Shot(practices[n % 2], PROGRAMS[n // 2 % len(PROGRAMS)], method, target))
    Random(1).shuffle(made)
    return made


async def fire_all(world: ClinicWorld, made: Iterable[Shot]) -> None:
    """`AT_ONCE` clients, each of which sends the next one as soon as it has its answer."""
    left = iter(made)
    async with httpx.AsyncClient(base_url=world.gateway.public_url, trust_env=False, timeout=60) as client:

        async def shoot() -> None:
            for shot in left:
                await shot.fire(world, client)

        await asyncio.gather(*(shoot() for _ in range(AT_ONCE)))


def test_a_thousand_interleaved_requests_each_get_their_own_practice_s_rows(world: ClinicWorld) -> None:
    before = {one.mark: len(users_of(world, one)) for one in world.practices}
    made = shots(world)
    kinds = Counter((shot.practice.mark, shot.credential) for shot in made)
    assert len(kinds) == 2 * (len(PROGRAMS) + 1)
    asyncio.run(fire_all(world, made))
    after = {one.mark: len(users_of(world, one)) for one in world.practices}
    assert after == {mark: count + WRITES // 2 for mark, count in before.items()}


def test_both_practices_have_the_same_ids_and_addresses(world: ClinicWorld, own: Practice, other: Practice) -> None:
    """Else the other tests would show little."""
    first, second = ([(user["id"], user["email"]) for user in users_of(world, one)[: len(PEOPLE)]] for one in (own, other))
    assert first == second == [(number, f"{name}@example.com") for number, name in enumerate(PEOPLE, 1)]


def test_a_user_who_is_created_here_is_neither_shown_nor_let_in_there(
    world: ClinicWorld, own: Practice, other: Practice
) -> None:
    body = user(own, email="ana.of.one@example.com")
    headers = dict(by_token(world, own, "POST", USERS, body))
    created = world.gateway.public.post(USERS, content=body, headers=headers)
    belongs_to(own, created, world, 201)
    assert "ana.of.one@example.com" not in [user["email"] for user in users_of(world, other)]
    login = {"email": "ana.of.one@example.com", "password": json.loads(body)["password"]}
    for practice, status in ((own, 200), (other, 401)):
        given = {**login, "tenant": practice.customer.slug}
        assert world.gateway.public.post("/api/auth/login", json=given).status_code == status
    body = user(other, email="ana.of.one@example.com")
    headers = dict(by_token(world, other, "POST", USERS, body))
    belongs_to(other, world.gateway.public.post(USERS, content=body, headers=headers), world, 201)


def test_a_password_of_one_practice_opens_no_account_of_the_other(world: ClinicWorld, own: Practice, other: Practice) -> None:
    assert world.log_in(own, own.password).status_code == 200
    refused = world.log_in(other, own.password)
    assert (refused.status_code, "token" in refused.text.partition('"detail"')[0]) == (401, False)


def contradictions(world: ClinicWorld, own: Practice, other: Practice) -> dict[str, tuple[dict[str, str], int, str]]:
    """What one practice, or a platform, may try with good credentials; each with its status and code."""
    signed = by_signature_of(world, own)
    slug, tenant_id = {"X-Tenant": other.customer.slug}, {"X-Tenant-Id": other.customer.id}
    token, key = dict(by_token(world, own, "GET", USERS, b"")), {"X-Api-Key": own.api_key}
    root, widget = {"X-Api-Key": world.root_key}, {"X-Widget-Key": own.customer.widget_key}
    mismatch, own_slug = (401, "TENANT_MISMATCH"), {"X-Tenant": own.customer.slug}
    return {
        "token, other slug": ({**token, **slug}, *mismatch),
        "token, other id": ({**token, **tenant_id}, *mismatch),
        "token, both slugs": ({**token, "X-Tenant": f"{own.customer.slug}, {other.customer.slug}"}, 400, "DUPLICATE_HEADER"),
        "token, other slug in a look-alike": ({**token, "X_Tenant": other.customer.slug}, 400, "LOOKALIKE_HEADER"),
        "token, slug in capitals": ({**token, "X-Tenant": own.customer.slug.upper()}, *mismatch),
        "token, and the other's key": ({**token, "X-Api-Key": other.api_key}, 400, "AMBIGUOUS_CREDENTIALS"),
        "key, other slug": ({**key, **slug}, *mismatch),
        "key, other id": ({**key, **tenant_id}, *mismatch),
        "key, a reference": ({**key, "X-Tenant-Ref": "x"}, 403, "TENANT_KEY_FORBIDDEN"),
        "root key, two tenants": ({**root, **own_slug, **tenant_id}, *mismatch),
        "root key, none": (root, 401, "TENANT_HEADER_MISSING"),
        "root key, unknown": ({**root, "X-Tenant": "nobody"}, 401, "TENANT_UNKNOWN"),
        "root key, a schema for a slug": ({**root, "X-Tenant": "clinica_abc"}, 401, "TENANT_UNKNOWN"),
        "signature, other id": ({**signed, **tenant_id}, 401, "SIGNATURE_INVALID"),
        "signature, other slug": ({**signed, **slug}, *mismatch),
        "signature for the other by own secret": (
            {**sign_headers("GET", world.gateway.public_url + USERS, tenant_id=other.customer.id, secret=own.customer.secret)},
            401,
            "SIGNATURE_INVALID",
        ),
        "widget key, on a route of programs": ({**widget, "Origin": own.customer.origin}, 401, ""),
    }


def by_signature_of(world: ClinicWorld, practice: Practice) -> dict[str, str]:
    url, customer = world.gateway.public_url + USERS, practice.customer
    return dict(sign_headers("GET", url, tenant_id=customer.id, secret=customer.secret))


def test_no_credential_of_one_practice_is_good_for_the_other(world: ClinicWorld, own: Practice, other: Practice) -> None:
    for name, (headers, status, code) in contradictions(world, own, other).items():
        answer = world.gateway.public.get(USERS, headers=headers)
        problem = answer.json()
        assert (name, answer.status_code) == (name, status), answer.text
        assert (name, problem["code"]) == (name, code or problem["code"])
        assert own.mark not in answer.text
        assert other.mark not in answer.text


def test_a_widget_key_is_good_on_its_own_practice_s_pages_only(world: ClinicWorld, own: Practice, other: Practice) -> None:
    at, key = "/api/v1/practice", {"X-Widget-Key": own.customer.widget_key}
    belongs_to(own, world.gateway.public.get(at, headers={**key, "Origin": own.customer.origin}), world)
    answer = world.gateway.public.get(at, headers={**key, "Origin": other.customer.origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "ORIGIN_NOT_ALLOWED")
    answer = world.gateway.public.get(at, headers={**key, "Origin": own.customer.origin, "X-Tenant": other.customer.slug})
    assert (answer.status_code, answer.json()["code"]) == (401, "TENANT_MISMATCH")


def test_forged_headers_change_nothing(world: ClinicWorld, own: Practice, other: Practice) -> None:
    forged = {
        "X-Tenant-Schema": "clinica_abc",
        "x_tenant_schema": "clinica_abc",
        "X-Auth-Role": "admin",
        "X-Auth-Subject": "2",
        "X-Served-Tenant": other.customer.slug,
        "Forwarded": "host=clinica-abc.example",
        "X-Forwarded-Host": "clinica-abc.example",
        "Connection": "close, X-Gateway-Identity",
        **world.sign_as_gateway(other),
    }
    headers = {**forged, **by_token(world, own, "GET", USERS, b"")}
    belongs_to(own, world.gateway.public.get(USERS, headers=headers), world)


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/users/1;SET%20search_path%20TO%20clinica_abc",
        "/api/v1/users/1%3BSET%20search_path%20TO%20clinica_abc",
        "/api/v1/users/1%20UNION%20SELECT%20*%20FROM%20clinica_abc.users",
        "/api/v1/users/clinica_abc.users",
        "/api/v1/users/%27%20OR%201=1--",
        "/api/v1/users/0001%00",
        "/api/v1/users/99999999999999999999999999",
        "/api/v1/users?search_path=clinica_abc",
        "/api/v1/users?options=-csearch_path%3Dclinica_abc",
        "/api/v1/users?tenant=clinica-abc&schema=clinica_abc&X-Tenant=clinica-abc",
        "/api/v1/clinica-abc/users",
        "/clinica-abc/api/v1/users",
        "/api/v1/../v1/users",
        "/api/v1/users/..%2fusers",
    ],
)
def test_no_target_leads_to_the_other_schema(world: ClinicWorld, own: Practice, other: Practice, target: str) -> None:
    answer = world.gateway.public.get(target, headers=dict(by_token(world, own, "GET", target, b"")))
    assert other.mark not in answer.text
    assert answer.status_code < 500


@pytest.mark.parametrize(
    "fields",
    [
        {"tenant": "clinica-abc", "schema": "clinica_abc", "search_path": "clinica_abc", "tenant_id": 2},
        {"role": "admin"},
        {"email": "x'); SET search_path TO clinica_abc; --@example.com"},
        {"email": "x');SET/**/search_path/**/TO/**/clinica_abc;--@example.com"},
    ],
    ids=["fields", "role", "spaces", "comments"],
)
def test_no_body_writes_to_the_other_schema(
    world: ClinicWorld, own: Practice, other: Practice, fields: dict[str, object]
) -> None:
    before = users_of(world, other)
    injection = f"{own.mark}', 'a@b', 'staff', 'x'); INSERT INTO clinica_abc.users (name) VALUES ('{uuid4().hex}"
    body = user(own, **{"name": injection, **fields})
    answer = world.gateway.public.post(USERS, content=body, headers=dict(by_token(world, own, "POST", USERS, body)))
    assert answer.status_code in (201, 422), answer.text
    assert users_of(world, other) == before
    users_of(world, own)


def test_the_clinic_itself_answers_to_the_gateway_s_identity_only(world: ClinicWorld, own: Practice) -> None:
    def direct(headers: dict[str, str], at: str = USERS, method: str = "GET") -> httpx.Response:
        return httpx.request(method, world.direct + at, headers=headers, trust_env=False, timeout=20)

    belongs_to(own, direct(world.sign_as_gateway(own)), world)
    now, slug = int(time.time()), own.customer.slug
    good = world.sign_as_gateway(own)
    refused = [
        direct({}),
        direct({"X-Tenant": slug, "X-Tenant-Schema": slug, "X-Auth-Role": "admin"}),
        direct(dict(by_token(world, own, "GET", USERS, b""))),
        direct({"X-Api-Key": own.api_key}),
        direct({"X-Gateway-Identity": own.token}),
        direct(world.sign_as_gateway(own, iat=now - 60, exp=now - 30)),
        direct(world.sign_as_gateway(own, aud="mailer")),
        direct(world.sign_as_gateway(own, htu="/api/v1/practice")),
        direct(good, f"{USERS}/1"),
        direct(good, method="POST"),
    ]
    assert [answer.status_code for answer in refused] == [401] * len(refused)
    assert not any(own.mark in answer.text for answer in refused)
