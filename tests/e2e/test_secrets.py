"""Secrets stay where they belong, and forged ones get nobody anywhere."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis

from gateway.cli.sign import sign_headers

from .conftest import World
from .recorder import Recorder
from .stack import ADMIN_KEY, JWT_SECRET, Customer, GatewayProcess
from .wire import eventually, exchange, head, resident


@pytest.fixture(scope="module")
def second(launch: Callable[..., GatewayProcess], world: World) -> GatewayProcess:
    """Another gateway on the same store."""
    return launch(world.upstream.url, world.environ, world.prefix)


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    return world.customer()


@pytest.fixture
def at() -> str:
    return f"/api/{uuid4().hex}"


def denied(world: World, answer: httpx.Response, at: str, *codes: str, status: int = 401) -> None:
    assert (answer.status_code, answer.json()["code"]) in [(status, code) for code in codes], answer.text
    assert world.upstream.at(at) == []


# What the store holds


def dump(world: World) -> Iterator[bytes]:
    with redis.Redis(unix_socket_path=world.store_url.removeprefix("unix://")) as store:
        readers: dict[bytes, Callable[[bytes], object]] = {
            b"string": store.get,
            b"hash": store.hgetall,
            b"zset": lambda key: store.zrange(key, 0, -1),
            b"set": store.smembers,
            b"list": lambda key: store.lrange(key, 0, -1),
            b"stream": store.xrange,
        }
        for key in store.scan_iter(count=1000):
            yield key + b" " + repr(readers[store.type(key)](key)).encode()


def test_a_dump_of_the_store_holds_no_secret(world: World, at: str) -> None:
    customer = world.customer()
    key, root = world.mint(customer.id), world.mint("main")
    by_api = [minted_by_api(world, "mint/root-key", {"name": "a"})]
    by_api.append(minted_by_api(world, "roll/root-key", {"overlap_seconds": 60}, key_id=by_api[0]["id"]))
    rotated = world.gateway.admin.post("/rotate/tenant-secret", params={"tenant_id": customer.id, "grace_seconds": 60})
    signed = sign_headers("GET", world.gateway.public_url + at, tenant_id=customer.id, secret=customer.secret)
    bearer = customer.bearer()
    roots = [root, *(one["key"] for one in by_api)]
    proofs = [{"Authorization": f"Bearer {one}", "X-Tenant": customer.slug} for one in roots]
    for proof in (bearer, {"X-Api-Key": key}, *proofs, signed):
        assert world.gateway.public.get(at, headers=proof).status_code == 200
    secrets = [
        customer.secret,
        rotated.json()["data"]["tenant_secret"],
        key,
        *roots,
        bearer["Authorization"],
        signed["X-Signature"],
    ]
    secrets += [ADMIN_KEY, JWT_SECRET, world.environ["TESTS_ENCRYPTION_KEY"]]
    told = b"\n".join(dump(world))
    assert customer.id.encode() in told
    for secret in secrets:
        whole = secret.removeprefix("Bearer ").removeprefix("v1=")
        # Neither in one piece, nor its random part, nor written in another way.
        random = whole.rpartition("_")[2] if whole.startswith(("sk_", "tg_")) else whole
        for form in (whole, random, whole.encode().hex(), base64.b64encode(whole.encode()).decode()):
            assert form.encode() not in told
            assert form not in world.gateway.output


def minted_by_api(world: World, call: str, body: object, **query: str) -> dict[str, str]:
    """With an idempotency key, for which the answer is kept."""
    headers = {"Idempotency-Key": uuid4().hex}
    answers = [world.gateway.admin.post(f"/{call}", json=body, params=query, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    key: dict[str, str] = answers[0].json()["data"]
    return key


# Without a look-up


def store_calls(world: World) -> float:
    """How often the store has been asked, once nothing is asked any more."""
    counts = [-1.0, _count(world)]
    assert eventually(lambda: counts.append(_count(world)) or counts[-1] == counts[-2], 5)  # type: ignore[func-returns-value]
    return counts[-1]


def _count(world: World) -> float:
    """But for what writes when keys were last used, some seconds later."""
    lines = httpx.get(f"{world.gateway.admin_url}/metrics", trust_env=False).text.splitlines()
    counts = [line for line in lines if line.startswith("tenantgate_store_call_duration_seconds_count")]
    return sum(float(line.split(" ")[-1]) for line in counts if 'script="hset"' not in line and 'script="expire"' not in line)


def test_what_cannot_be_a_credential_is_refused_without_asking_the_store(world: World, at: str) -> None:
    good = world.mint("main")
    wrong_checksum = good[:-1] + ("a" if good[-1] != "a" else "b")
    keys = [
        "' OR 1=1",
        "tg_live_' OR 1=1 --",
        wrong_checksum,
        good[:-1],
        good + "a",
        good.upper(),
        "tg_live_",
        "../../key",
        "*",
    ]
    before = store_calls(world)
    for key in keys:
        denied(world, world.gateway.public.get(at, headers={"X-Api-Key": key}), at, "KEY_INVALID")
    for key in (*keys, "a" * 20_000, ".".join(["a"] * 3)):
        answer = world.gateway.public.get(at, headers={"Authorization": f"Bearer {key}", "X-Tenant": "acme"})
        denied(world, answer, at, "KEY_INVALID", "TOKEN_MALFORMED", "TOKEN_INVALID")
    (huge,) = exchange(world, head(f"GET {at} HTTP/1.1", None, b"Authorization: Bearer " + b"a" * (1 << 20)))
    assert (huge.status, huge.problem["code"]) == (431, "HEADERS_TOO_LARGE")
    assert store_calls(world) == before


# What is written and told


def canary() -> str:
    return f"canary{uuid4().hex}"


class Canaries:
    """Secrets of which none may be seen again."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def new(self, prefix: str = "") -> str:
        self.all.append(canary())
        return prefix + self.all[-1]


def test_secrets_are_in_no_log_metric_or_error(world: World, customer: Customer, at: str) -> None:
    secrets, public, admin = Canaries(), world.gateway.public, world.gateway.admin
    new, answers = secrets.new, []
    failing = f"/api/{uuid4().hex}"
    world.upstream.responses[failing] = lambda seen: b"HTTP/1.1 200 OK\r\nSet-Cookie: " + new().encode() + b"\nX: \r\n\r\n"
    bearer, key = customer.bearer(jti=uuid4().hex), world.mint(customer.id)
    secrets.all += [bearer["Authorization"].removeprefix("Bearer "), key, customer.secret, ADMIN_KEY, JWT_SECRET]
    secrets.all.append(world.environ["TESTS_ENCRYPTION_KEY"])
    header = base64.urlsafe_b64encode(b'{"alg":"HS256"}').decode()
    for proof in (
        {"Authorization": f"Bearer {new()}"},
        {"Authorization": f"Bearer {header}.{new()}.{new()}", "X-Tenant": customer.slug},
        {"Authorization": f"Basic {new()}"},
        {"Authorization": new()},
        {"X-Api-Key": new("tg_live_")},
        {"X-Api-Key": new()},
        {"X-Widget-Key": new("pk_"), "Origin": customer.origin},
        {"X-Tenant-Id": customer.id, "X-Timestamp": str(int(time.time())), "X-Nonce": new(), "X-Signature": new("v1=")},
        {"Signature-Input": f'sig=("@method");keyid="{new()}"', "Signature": f"sig=:{new()}:"},
        {"X-Tenant": new(), "Authorization": bearer["Authorization"]},
        {"X_Api_Key": new()},
        bearer | {"Cookie": f"session={new()}"},
        bearer | {"X-Api-Key": key},
        {"X-Api-Key": key},
    ):
        answers.append(public.post(at, params={"token": new()}, headers=proof, content=new()))
        answers.append(public.post(failing, params={"password": new()}, headers=proof, content=new()))
    answers.append(public.get(at, params={"public_key": new("pk_")}, headers={"Origin": customer.origin}))
    answers.append(public.get(f"/nowhere?api_key={new()}"))
    unsuited: tuple[dict[str, Any], ...] = (
        {"tenant_secret": new()},
        {"name": [new()]},
        {"slug": new("-")},
        {"plan_tier": new()},
    )
    answers += [
        admin.post("/provision/tenant", json={"name": "x", "slug": f"x-{uuid4().hex[:8]}", **body}) for body in unsuited
    ]
    answers.append(admin.post("/provision/tenant", content=f'{{"name": "{new()}'))
    answers.append(admin.post("/update/tenant", params={"tenant_id": new()}, json={"stripe_customer_id": new()}))
    answers.append(
        admin.post("/update/tenant", params={"tenant_id": customer.id}, json={"callback_url": f"https://u:{new()}@x/"})
    )
    answers.append(admin.get("/fetch/tenants", headers={"X-Admin-Key": new()}))
    for line in (f"GET /api/x?token={new()} HTTP/3.0", f"GET /api/{new()}\x01 HTTP/1.1", f"{new()} / HTTP/1.1"):
        answers += [httpx.Response(reply.status, content=reply.body) for reply in exchange(world, head(line))]
    (broken,) = exchange(world, head("GET /api/x HTTP/1.1", None, f"X {new()}: {new()}".encode()))
    metrics = httpx.get(f"{world.gateway.admin_url}/metrics", trust_env=False).text
    told = [
        world.gateway.output,
        metrics,
        broken.body.decode(),
        *(answer.text for answer in answers if answer.status_code >= 400),
    ]
    assert len(secrets.all) > 60
    assert '"code":"KEY_INVALID"' in world.gateway.output
    for text in told:
        seen = [secret for secret in secrets.all if secret in text]
        assert not seen, next(line for line in text.splitlines() if seen[0] in line)


def test_the_store_s_password_is_told_to_nobody(
    launch: Callable[..., GatewayProcess], upstream: Recorder, world: World, customer: Customer
) -> None:
    secret = canary()
    dead = launch(upstream.url, world.environ | {"TENANTGATE__STORE__URL": f"redis://:{secret}@127.0.0.1:1/0"}, world.prefix)
    answer = dead.public.get("/api/x", headers=customer.bearer())
    ready = httpx.get(f"{dead.admin_url}/readyz?verbose", trust_env=False)
    assert (answer.status_code, ready.status_code) == (503, 503)
    assert secret not in dead.output + answer.text + ready.text


# Signatures


def signed(world: World, customer: Customer, method: str, at: str, **how: Any) -> dict[str, str]:
    return dict(sign_headers(method, world.gateway.public_url + at, tenant_id=customer.id, secret=customer.secret, **how))


def test_a_signature_is_good_for_its_window(world: World, customer: Customer, at: str) -> None:
    now = int(time.time())
    for age in (-305, 305, -3600):
        answer = world.gateway.public.get(at, headers=signed(world, customer, "GET", at, timestamp=now + age))
        denied(world, answer, at, "SIGNATURE_EXPIRED")
    in_milliseconds = world.gateway.public.get(at, headers=signed(world, customer, "GET", at, timestamp=now * 1000))
    denied(world, in_milliseconds, at, "SIGNATURE_EXPIRED", "SIGNATURE_INVALID")
    for age in (-290, 290):
        answer = world.gateway.public.get(at, headers=signed(world, customer, "GET", at, timestamp=now + age))
        assert answer.status_code == 200, answer.text


def test_a_signature_is_good_once_on_all_gateways(world: World, second: GatewayProcess, customer: Customer, at: str) -> None:
    host = {"Host": "gateway.test"}
    headers = dict(sign_headers("GET", f"http://gateway.test{at}", tenant_id=customer.id, secret=customer.secret)) | host
    assert world.gateway.public.get(at, headers=headers).status_code == 200
    for gateway in (second, world.gateway):
        replayed = gateway.public.get(at, headers=headers)
        assert (replayed.status_code, replayed.json()["code"]) == (401, "REPLAYED_REQUEST")
    assert len(world.upstream.at(at)) == 1


def test_a_body_that_differs_in_its_last_byte_never_reaches_the_upstream(world: World, customer: Customer, at: str) -> None:
    body = b"x" * (5 << 20)
    headers = signed(world, customer, "POST", at, body=body)
    denied(world, world.gateway.public.post(at, headers=headers, content=body[:-1] + b"y"), at, "SIGNATURE_INVALID")
    assert at not in world.upstream.cut, "some of it had been sent"
    headers = signed(world, customer, "POST", at, body=body)
    assert world.gateway.public.post(at, headers=headers, content=body).status_code == 200
    assert world.upstream.at(at)[0].body == body


def test_an_oversize_signed_body_is_413_in_bounded_memory(world: World, customer: Customer, at: str) -> None:
    before = resident(world)
    for _ in range(3):
        sized = signed(world, customer, "POST", at)
        answer = world.gateway.public.post(at, headers=sized, content=(b"x" * 65536 for _ in range(11 * 16)))
        denied(world, answer, at, "BODY_TOO_LARGE", status=413)
    assert resident(world) - before < 16 << 20


def test_after_a_rotation_the_old_secret_is_refused_everywhere(world: World, second: GatewayProcess, at: str) -> None:
    customer = world.customer()

    def ask(gateway: GatewayProcess) -> httpx.Response:
        headers = sign_headers("GET", gateway.public_url + at, tenant_id=customer.id, secret=customer.secret)
        return gateway.public.get(at, headers=headers)

    assert [ask(gateway).status_code for gateway in (world.gateway, second)] == [200, 200]
    assert world.gateway.admin.post("/rotate/tenant-secret", params={"tenant_id": customer.id}).status_code == 200
    for gateway in (second, world.gateway):
        answer = ask(gateway)
        assert (answer.status_code, answer.json()["code"]) == (401, "SIGNATURE_INVALID")
    assert len(world.upstream.at(at)) == 2


def test_an_unknown_tenant_looks_like_a_wrong_signature(world: World, customer: Customer, at: str) -> None:
    url = world.gateway.public_url + at
    wrong = sign_headers("GET", url, tenant_id=customer.id, secret="sk_" + "0" * 43)
    unknown = sign_headers("GET", url, tenant_id=str(uuid4()), secret=customer.secret)
    nobody = {**unknown, "X-Tenant-Id": "no-id-at-all"}
    told = set()
    for headers in (wrong, unknown, nobody):
        answer = world.gateway.public.get(at, headers=headers)
        denied(world, answer, at, "SIGNATURE_INVALID")
        alike = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
        told.add((answer.text.replace(answer.headers["x-request-id"], ""), str(alike)))
    assert len(told) == 1


# Tokens: one sample of each class; the policies' own tests have the rest


def forge(payload: object, header: dict[str, object] | None = None, secret: str = JWT_SECRET) -> str:
    parts = [
        json.dumps(header or {"alg": "HS256"}).encode(),
        payload if isinstance(payload, bytes) else json.dumps(payload).encode(),
    ]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    mac = hmac.digest(secret.encode(), text, sha256)
    return (text + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


FORGED: dict[str, Callable[[dict[str, Any]], str]] = {
    "another secret": lambda claims: forge(claims, secret="k" * 64),
    "alg none": lambda claims: forge(claims, {"alg": "none"}).rpartition(".")[0] + ".",
    "alg nOnE": lambda claims: forge(claims, {"alg": "nOnE"}),
    "alg HS512": lambda claims: forge(claims, {"alg": "HS512"}),
    "alg RS256": lambda claims: forge(claims, {"alg": "RS256"}),
    "tenants": lambda claims: forge({**claims, "tenant": [claims["tenant"]]}),
    "tenant null": lambda claims: forge({**claims, "tenant": None}),
    "tenant 1": lambda claims: forge({**claims, "tenant": 1}),
    "no tenant": lambda claims: forge({name: claim for name, claim in claims.items() if name != "tenant"}),
    "crit": lambda claims: forge(claims, {"alg": "HS256", "crit": ["x"], "x": 1}),
    "b64": lambda claims: forge(claims, {"alg": "HS256", "crit": ["b64"], "b64": False}),
    "no exp": lambda claims: forge({name: claim for name, claim in claims.items() if name != "exp"}),
    "exp text": lambda claims: forge({**claims, "exp": str(claims["exp"])}),
    "exp NaN": lambda claims: forge({**claims, "exp": float("nan")}),
    "exp past": lambda claims: forge({**claims, "exp": claims["iat"] - 3600}),
    "nbf": lambda claims: forge({**claims, "nbf": claims["iat"] + 3600}),
    "iat": lambda claims: forge({**claims, "iat": claims["iat"] + 3600, "exp": claims["iat"] + 7200}),
    "iss": lambda claims: forge({**claims, "iss": "test"}),
    "no iss": lambda claims: forge({name: claim for name, claim in claims.items() if name != "iss"}),
    "large": lambda claims: forge({**claims, "pad": "x" * 9000}),
    "deep": lambda claims: forge(b"[" * 4000 + b"]" * 4000),
    "JWE": lambda claims: "a.b.c.d.e",
    "twice": lambda claims: forge(json.dumps(claims).replace("{", '{"tenant": "globex", ', 1).encode()),
    "refresh": lambda claims: forge({**claims, "typ": "refresh"}),
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_token_is_401(world: World, customer: Customer, at: str, forged: str) -> None:
    now = int(time.time())
    claims = {"sub": "u", "tenant": customer.slug, "iss": "tests", "iat": now, "exp": now + 300}
    token = FORGED[forged](claims)
    answer = world.gateway.public.get(at, headers={"Authorization": f"Bearer {token}", "X-Tenant": customer.slug})
    assert (answer.status_code, world.upstream.at(at)) == (401, []), answer.text
    assert answer.json()["code"].startswith(("TOKEN_", "TENANT_"))
    honest = {"Authorization": f"Bearer {forge(claims)}", "X-Tenant": customer.slug}
    assert world.gateway.public.get(at, headers=honest).status_code == 200, "the forgery's original is good"


def test_a_token_of_one_tenant_opens_no_other(world: World, customer: Customer, at: str) -> None:
    other = world.customer()
    token = {"Authorization": customer.bearer()["Authorization"]}
    denied(world, world.gateway.public.get(at, headers=token | {"X-Tenant": other.slug}), at, "TENANT_MISMATCH")
    denied(world, world.gateway.public.get(at, headers=token | {"X-Tenant": customer.slug.upper()}), at, "TENANT_MISMATCH")
    denied(world, world.gateway.public.get(at, headers=token), at, "TENANT_HEADER_MISSING")
    denied(
        world,
        world.gateway.public.get(at, headers=customer.bearer(tenant="ghost") | {"X-Tenant": "ghost"}),
        at,
        "TENANT_UNKNOWN",
    )
