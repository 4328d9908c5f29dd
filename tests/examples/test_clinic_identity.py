"""What the clinic refuses when it is called past the gateway, or with an identity that was made for something else."""

from __future__ import annotations

import asyncio
import time

import httpx
import jwt
import pytest
from clinic.tenancy import Gateway
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.exceptions import HTTPException
from starlette.requests import Request

from .conftest import JWT_SECRET, Clinic, Signer

USERS = "/api/v1/users"


async def test_an_identity_of_the_gateway_for_this_request_is_served(clinic: Clinic) -> None:
    assert (await clinic.call("GET", USERS)).status_code == 200


async def test_plain_headers_prove_nothing(clinic: Clinic) -> None:
    headers = {"X-Tenant": "avanter", "X-Tenant-Schema": "avanter", "X-Tenant-Id": "1"}
    refused(await clinic.http.get(USERS, headers=headers))


async def test_a_second_identity_is_refused(clinic: Clinic) -> None:
    token = clinic.signer.identity("GET", USERS)["X-Gateway-Identity"]
    refused(await clinic.http.get(USERS, headers=[("X-Gateway-Identity", token), ("X-Gateway-Identity", token)]))


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"exp": int(time.time()) - 1}, id="expired"),
        pytest.param({"exp": None}, id="never-expires"),
        pytest.param({"aud": "mailer"}, id="other-upstream"),
        pytest.param({"aud": None}, id="no-upstream"),
        pytest.param({"iss": "somebody"}, id="other-issuer"),
        pytest.param({"htu": "/api/v1/users/1"}, id="other-path"),
        pytest.param({"htu": "/api/v1/users/"}, id="almost-the-path"),
        pytest.param({"htu": None}, id="no-path"),
        pytest.param({"htm": "POST"}, id="other-method"),
        pytest.param({"schema": None}, id="no-schema"),
        pytest.param({"schema": 'avanter"; DROP TABLE users; --'}, id="injected-schema"),
        pytest.param({"schema": "avanter, clinica_abc"}, id="two-schemas"),
        pytest.param({"schema": ["avanter"]}, id="list-of-schemas"),
        pytest.param({"tenant": None}, id="no-tenant"),
    ],
)
async def test_an_identity_made_for_something_else_is_refused(clinic: Clinic, claims: dict[str, object]) -> None:
    refused(await clinic.http.get(USERS, headers=clinic.signer.identity("GET", USERS, **claims)))


async def test_an_identity_signed_by_somebody_else_is_refused(clinic: Clinic) -> None:
    stranger = Signer(Ed25519PrivateKey.generate(), kid=clinic.signer.kid)
    refused(await clinic.http.get(USERS, headers=stranger.identity("GET", USERS)))


async def test_another_kind_of_token_signed_by_the_gateway_is_refused(clinic: Clinic) -> None:
    refused(await clinic.http.get(USERS, headers=clinic.signer.identity("GET", USERS, header={"typ": "JWT"})))


async def test_an_unsigned_identity_is_refused(clinic: Clinic) -> None:
    claims = jwt.decode(clinic.signer.identity("GET", USERS)["X-Gateway-Identity"], options={"verify_signature": False})
    token = jwt.encode(claims, None, algorithm="none", headers={"typ": "tg-identity+jwt", "kid": clinic.signer.kid})
    refused(await clinic.http.get(USERS, headers={"X-Gateway-Identity": token}))


async def test_a_token_of_a_login_is_no_identity(clinic: Clinic) -> None:
    claims = jwt.decode(clinic.signer.identity("GET", USERS)["X-Gateway-Identity"], options={"verify_signature": False})
    token = jwt.encode(claims, JWT_SECRET, algorithm="HS256", headers={"typ": "tg-identity+jwt", "kid": clinic.signer.kid})
    refused(await clinic.http.get(USERS, headers={"X-Gateway-Identity": token}))


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "." * 5000])
async def test_a_mangled_identity_is_refused(clinic: Clinic, token: str) -> None:
    refused(await clinic.http.get(USERS, headers=[(b"X-Gateway-Identity", token.encode())]))


async def test_the_gateways_new_key_is_fetched_when_it_is_first_seen(signer: Signer) -> None:
    now = Ticking()
    gateway = Gateway(signer.fetch, clock=now)
    await gateway.identify(request(signer))
    signer.key, signer.kid, now.seconds = Ed25519PrivateKey.generate(), "k2", 6.0
    identity = await gateway.identify(request(signer))
    assert (identity.tenant, identity.schema, signer.fetches) == ("avanter", "avanter", 2)


async def test_made_up_key_ids_do_not_become_a_flood_of_fetches(signer: Signer) -> None:
    gateway = Gateway(signer.fetch, clock=Ticking())
    stranger = Signer()
    for number in range(20):
        stranger.kid = f"made-up-{number}"
        with pytest.raises(HTTPException, match="401"):
            await gateway.identify(request(stranger))
    assert signer.fetches == 1


async def test_many_first_requests_share_one_fetch(signer: Signer) -> None:
    gateway = Gateway(signer.fetch)
    await asyncio.gather(*(gateway.identify(request(signer)) for _ in range(20)))
    assert signer.fetches == 1


async def test_an_unreachable_gateway_is_an_outage_and_no_bad_identity(signer: Signer) -> None:
    signer.down = True
    with pytest.raises(HTTPException, match="503"):
        await Gateway(signer.fetch).identify(request(signer))


async def test_known_keys_hold_while_the_gateway_is_down(signer: Signer) -> None:
    gateway = Gateway(signer.fetch)
    await gateway.identify(request(signer))
    signer.down = True
    assert (await gateway.identify(request(signer))).tenant == "avanter"


class Ticking:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def request(signer: Signer) -> Request:
    headers = [(b"x-gateway-identity", signer.identity("GET", USERS)["X-Gateway-Identity"].encode())]
    return Request({"type": "http", "method": "GET", "path": USERS, "raw_path": USERS.encode(), "headers": headers})


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert "users" not in answer.json()
