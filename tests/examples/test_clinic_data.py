"""Each tenant sees its own rows, whatever the pool did before, and logs in with its own accounts only."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from itertools import cycle, islice

import jwt
import psycopg
import pytest
from clinic.tenancy import Gateway, Identity, Tenancy
from psycopg_pool import AsyncConnectionPool

from .conftest import JWT_SECRET, Clinic, Signer

USERS = "/api/v1/users"
SLUGS = ("avanter", "clinica-abc")


async def test_ids_repeat_across_tenants_and_name_different_people(clinic: Clinic) -> None:
    names = [(await clinic.call("GET", f"{USERS}/1", slug)).json()["name"] for slug in SLUGS]
    assert names == ["avanter 1", "clinica-abc 1"]


async def test_a_user_is_created_in_the_tenants_own_schema(clinic: Clinic) -> None:
    new = {"name": "Ana", "email": fresh_email(), "password": "long enough", "role": "nurse"}
    created = await clinic.call("POST", USERS, json=new)
    assert created.status_code == 201
    assert created.json() == {"id": created.json()["id"], "name": "Ana", "email": new["email"], "role": "nurse"}
    assert created.json() in (await clinic.call("GET", USERS)).json()["users"]
    assert new["email"] not in (await clinic.call("GET", USERS, "clinica-abc")).text


async def test_the_same_address_is_free_in_another_tenant_and_taken_in_its_own(clinic: Clinic) -> None:
    new = {"name": "Ana", "email": fresh_email(), "password": "long enough"}
    statuses = [(await clinic.call("POST", USERS, slug, new)).status_code for slug in (*SLUGS, "avanter")]
    assert statuses == [201, 201, 409]


@pytest.mark.parametrize(
    "body", [{}, {"name": "", "email": "a@b", "password": "long enough"}, {"name": "A", "email": "a", "password": "short"}, "x"]
)
async def test_a_wrong_body_is_told_by_field_and_stores_nothing(clinic: Clinic, body: object) -> None:
    before = (await clinic.call("GET", USERS)).json()
    answer = await clinic.call("POST", USERS, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"]
    assert (await clinic.call("GET", USERS)).json() == before


async def test_an_unknown_user_is_not_found(clinic: Clinic) -> None:
    assert (await clinic.call("GET", f"{USERS}/999999")).status_code == 404


async def test_a_practice_has_its_own_name(clinic: Clinic) -> None:
    names = [(await clinic.call("GET", "/api/v1/practice", slug)).json()["name"] for slug in SLUGS]
    assert names == ["Avanter", "Clinica-Abc"]


async def test_analytics_count_the_tenants_own_users(clinic: Clinic) -> None:
    answer = (await clinic.call("GET", "/api/v1/analytics", "clinica-abc")).json()
    assert answer["tenant"] == "clinica-abc"
    assert answer["users_by_role"]["manager"] == 2


async def test_no_answer_of_many_at_once_carries_another_tenants_rows(clinic: Clinic) -> None:
    async def own_rows_only(slug: str) -> bool:
        answer = (await clinic.call("GET", USERS, slug)).json()
        seeded = [user["name"] for user in answer["users"] if user["role"] == "manager"]
        return answer["tenant"] == slug and seeded == [f"{slug} 1", f"{slug} 2"]

    assert all(await asyncio.gather(*(own_rows_only(slug) for slug in interleaved(300))))


async def test_a_failed_request_leaves_no_schema_behind_on_its_connection(clinic: Clinic, server: str) -> None:
    new = {"name": "Ana", "email": "user1@example.com", "password": "long enough"}
    answers = await asyncio.gather(*(clinic.call("POST", USERS, slug, new) for slug in interleaved(20)))
    assert {answer.status_code for answer in answers} == {409}
    # A tenant that has no schema finds no table, on whichever connection it comes.
    lost = await asyncio.gather(*(clinic.http.get(USERS, headers=ghost(clinic)) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(outcome, psycopg.errors.UndefinedTable) for outcome in lost)


async def test_a_connection_forgets_its_tenant_with_the_transaction(server: str, signer: Signer) -> None:
    async with AsyncConnectionPool(server, min_size=1, max_size=1, open=False) as pool:
        tenancy = Tenancy(Gateway(signer.fetch), pool)
        async with tenancy.transaction(Identity("avanter", "avanter", None)) as connection:
            assert await search_path(connection) == "avanter"
        async with pool.connection() as connection:
            assert await search_path(connection) == '"$user", public'


async def test_a_login_gives_a_token_for_the_tenant_and_the_account(clinic: Clinic) -> None:
    answer = await login(clinic, tenant="clinica-abc", password="clinica-abc-1-password")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["expires_in"] == 3600
    claims = jwt.decode(body["token"], JWT_SECRET, algorithms=["HS256"], audience="clinic", issuer="clinic")
    assert (claims["sub"], claims["tenant"], claims["role"]) == ("1", "clinica-abc", "manager")
    assert claims["exp"] - claims["iat"] == 3600
    assert jwt.get_unverified_header(body["token"])["typ"] == "JWT"
    assert jwt.get_unverified_header(body["refresh_token"])["typ"] == "refresh+jwt"


async def test_a_failed_login_does_not_tell_what_was_wrong(clinic: Clinic) -> None:
    answers = [
        await login(clinic, password="wrong"),
        await login(clinic, email="nobody@example.com"),
        await login(clinic, tenant="no-such-tenant"),
        await login(clinic, tenant="clinica-abc"),
        await login(clinic, tenant="public"),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1


async def test_the_service_tells_that_its_database_answers(clinic: Clinic) -> None:
    assert (await clinic.http.get("/healthz")).json() == {"status": "ok"}


async def login(clinic: Clinic, **other: str):
    good = {"email": "user1@example.com", "password": "avanter-1-password", "tenant": "avanter"}
    return await clinic.http.post("/api/auth/login", json=good | other)


async def search_path(connection: psycopg.AsyncConnection) -> str:
    row = await (await connection.execute("SHOW search_path")).fetchone()
    assert row is not None
    return str(row[0])


def fresh_email() -> str:
    return f"{uuid.uuid4()}@example.com"


def interleaved(count: int) -> Iterator[str]:
    return islice(cycle(SLUGS), count)


def ghost(clinic: Clinic) -> dict[str, str]:
    return clinic.signer.identity("GET", USERS, "ghost")
