"""Issuers' keys over time: rotation, outages, and how often an issuer is asked. The issuer is a real server on loopback."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from gateway.errors import KEYS_UNAVAILABLE, TOKEN_INVALID, Refused
from gateway.identity import source
from gateway.identity.keyring import KeyFault
from gateway.identity.keysets import KeySets
from gateway.pipeline.claim import KeysNeeded
from gateway.pipeline.policy import Setup
from gateway.settings.schema import IssuerSettings
from policies.jwt_bearer import JwtBearer
from tests.identity.forge import SECRET, claims, jwk, key_for, key_set, pem, request, rsa_key, sign


class HandClock:
    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class Publisher:
    """Serves one key set over HTTP, and counts how often it was asked; `arrivals` tells of each request. While `gate` is unset,
    it keeps everybody waiting."""

    def __init__(self) -> None:
        self.asked = 0
        self.arrivals = asyncio.Semaphore(0)
        self.body = b""
        self.status = "200 OK"
        self.headers: Mapping[str, str] = {}
        self.requests: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.url = ""

    def publish(self, *keys: dict[str, object]) -> None:
        self.body = key_set(*keys)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            self.asked += 1
            self.arrivals.release()
            await self.gate.wait()
            fields = {"Content-Length": str(len(self.body)), "Connection": "close", **self.headers}
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            writer.write(f"HTTP/1.1 {self.status}\r\n{head}\r\n".encode() + self.body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    publisher = Publisher()
    server = await asyncio.start_server(publisher.serve, "127.0.0.1", 0)
    publisher.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
    yield publisher
    publisher.gate.set()
    server.close()
    await server.wait_closed()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def sets(publisher: Publisher, clock: HandClock) -> AsyncIterator[KeySets]:
    sets = KeySets({"idp": IssuerSettings(algorithms=("RS256",), jwks_url=publisher.url)}, clock)
    yield sets
    await sets.close()


async def ask(sets: KeySets, token: str) -> str:
    """The way of a decision: authenticate, fetch the keys where they are missing, authenticate once more."""
    policy = JwtBearer(JwtBearer.Config(issuers=("idp",)), Setup("r", sets.issuers))
    try:
        try:
            policy.authenticate(request(f"Bearer {token}"))
        except KeysNeeded as needed:
            await sets.refresh(needed.issuer)
            policy.authenticate(request(f"Bearer {token}"))
    except Refused as refused:
        return refused.problem.code
    return "accepted"


def token(number: int = 0, kid: str | None = "k-0") -> str:
    return sign(claims(), "RS256", rsa_key(number), **({} if kid is None else {"kid": kid}))


# Rotation


async def test_keys_are_fetched_when_the_first_token_comes(publisher: Publisher, sets: KeySets) -> None:
    publisher.publish(jwk(rsa_key(), "k-0"))
    assert await ask(sets, token()) == "accepted"
    assert await ask(sets, token(kid=None)) == "accepted"
    assert publisher.asked == 1


async def test_a_new_key_is_taken_up_and_an_old_one_that_is_gone_is_refused(
    publisher: Publisher, sets: KeySets, clock: HandClock
) -> None:
    publisher.publish(jwk(rsa_key(), "k-0"))
    assert await ask(sets, token()) == "accepted"
    publisher.publish(jwk(rsa_key(1), "k-1"))
    clock.time += 10
    assert await ask(sets, token(1, "k-1")) == "accepted"
    assert await ask(sets, token()) == TOKEN_INVALID.code
    assert publisher.asked == 2


async def test_unknown_keys_cause_one_fetch_per_cooldown(publisher: Publisher, sets: KeySets, clock: HandClock) -> None:
    publisher.publish(jwk(rsa_key(), "k-0"))
    assert await ask(sets, token()) == "accepted"
    for number in range(50):
        assert await ask(sets, token(kid=f"made-up-{number}")) == TOKEN_INVALID.code
    assert publisher.asked == 1
    clock.time += 9.9
    assert await ask(sets, token(kid="made-up")) == TOKEN_INVALID.code
    assert publisher.asked == 1
    clock.time += 0.1
    for number in range(50):
        assert await ask(sets, token(kid=f"made-up-{number}")) == TOKEN_INVALID.code
    assert publisher.asked == 2
    assert await ask(sets, token()) == "accepted"


async def test_a_known_key_never_waits_for_a_fetch(publisher: Publisher, sets: KeySets, clock: HandClock) -> None:
    publisher.publish(jwk(rsa_key(), "k-0"))
    assert await ask(sets, token()) == "accepted"
    clock.time += 10
    publisher.gate.clear()
    unknown = asyncio.create_task(ask(sets, token(kid="made-up")))
    await publisher.arrivals.acquire()
    await publisher.arrivals.acquire()
    assert await ask(sets, token()) == "accepted"
    publisher.gate.set()
    assert await unknown == TOKEN_INVALID.code


async def test_many_at_once_share_one_fetch(publisher: Publisher, sets: KeySets) -> None:
    publisher.publish(jwk(rsa_key(), "k-0"))
    assert set(await asyncio.gather(*(ask(sets, token()) for _ in range(100)))) == {"accepted"}
    assert publisher.asked == 1


async def test_one_that_goes_away_does_not_take_the_fetch_along(publisher: Publisher, sets: KeySets) -> None:
    publisher.publish(jwk(rsa_key(), "k-0"))
    publisher.gate.clear()
    leaving, staying = (asyncio.create_task(ask(sets, token())) for _ in range(2))
    await publisher.arrivals.acquire()
    leaving.cancel()
    await asyncio.wait([leaving])
    publisher.gate.set()
    assert await staying == "accepted"
    assert publisher.asked == 1


async def test_a_cooldown_of_nothing_is_still_a_bound(publisher: Publisher, clock: HandClock) -> None:
    settings = IssuerSettings(algorithms=("RS256",), jwks_url=publisher.url, jwks_cooldown="0s")
    sets = KeySets({"idp": settings}, clock)
    publisher.publish(jwk(rsa_key(), "k-0"))
    for number in range(20):
        assert await ask(sets, token(kid=f"made-up-{number}")) == TOKEN_INVALID.code
    assert publisher.asked == 1


async def test_the_set_is_fetched_anyway_in_time(publisher: Publisher, sets: KeySets, clock: HandClock) -> None:
    publisher.publish(jwk(rsa_key(), "k-0"))
    await sets.refresh_due()
    await sets.refresh_due()
    assert publisher.asked == 1
    publisher.publish(jwk(rsa_key(1), "k-1"))
    clock.time += 299
    await sets.refresh_due()
    assert publisher.asked == 1
    clock.time += 1
    await sets.refresh_due()
    assert publisher.asked == 2
    assert await ask(sets, token()) == TOKEN_INVALID.code
    assert await ask(sets, token(1, "k-1")) == "accepted"
    assert publisher.asked == 2


async def test_a_started_gateway_fetches_by_itself_and_ends_cleanly(publisher: Publisher, sets: KeySets) -> None:
    publisher.publish(jwk(rsa_key(), "k-0"))
    await sets.start()
    await publisher.arrivals.acquire()
    assert await ask(sets, token()) == "accepted"
    assert publisher.asked == 1
    await sets.close()
    assert not {"issuers' keys", "keys of idp"} & {task.get_name() for task in asyncio.all_tasks()}


async def test_closing_in_the_middle_of_a_fetch_ends_it(publisher: Publisher, sets: KeySets) -> None:
    publisher.gate.clear()
    await sets.start()
    await publisher.arrivals.acquire()
    await sets.close()
    assert not {"issuers' keys", "keys of idp"} & {task.get_name() for task in asyncio.all_tasks()}


# Outages


async def test_an_issuer_that_never_answered_is_an_outage_and_not_a_bad_token(
    publisher: Publisher, sets: KeySets, clock: HandClock
) -> None:
    publisher.status = "500 Oops"
    for _ in range(20):
        assert await ask(sets, token()) == KEYS_UNAVAILABLE.code
    assert publisher.asked == 1
    with pytest.raises(Refused) as caught:
        sets.issuers["idp"].keys.find("k-0", "RS256")
    assert caught.value.problem.status == 503
    assert caught.value.retry_after == 10
    publisher.status = "200 OK"
    publisher.publish(jwk(rsa_key(), "k-0"))
    clock.time += 10
    assert await ask(sets, token()) == "accepted"


async def test_the_last_good_set_is_kept_while_the_url_fails(publisher: Publisher, sets: KeySets, clock: HandClock) -> None:
    publisher.publish(jwk(rsa_key(), "k-0"))
    assert await ask(sets, token()) == "accepted"
    publisher.status = "503 Down"
    for _ in range(100):
        clock.time += 300
        await sets.refresh_due()
        assert await ask(sets, token()) == "accepted"
    assert publisher.asked == 101


async def test_a_key_that_an_outage_hides_is_not_called_a_bad_token(
    publisher: Publisher, sets: KeySets, clock: HandClock
) -> None:
    publisher.publish(jwk(rsa_key(), "k-0"))
    assert await ask(sets, token()) == "accepted"
    publisher.status = "503 Down"
    clock.time += 10
    assert await ask(sets, token(1, "k-1")) == KEYS_UNAVAILABLE.code
    publisher.status = "200 OK"
    publisher.publish(jwk(rsa_key(1), "k-1"))
    clock.time += 10
    assert await ask(sets, token(1, "k-1")) == "accepted"


async def test_after_a_failure_the_set_is_due_sooner(publisher: Publisher, sets: KeySets, clock: HandClock) -> None:
    publisher.status = "503 Down"
    await sets.refresh_due()
    clock.time += 10
    await sets.refresh_due()
    assert publisher.asked == 2


async def test_nobody_listening_is_an_outage(clock: HandClock) -> None:
    sets = KeySets({"idp": IssuerSettings(algorithms=("RS256",), jwks_url="http://127.0.0.1:9/jwks")}, clock)
    assert await ask(sets, token()) == KEYS_UNAVAILABLE.code


BAD_SETS = {
    "no json": b"<html>",
    "no usable key": key_set(jwk(rsa_key(), "k-1", use="enc")),
    "a name twice": key_set(jwk(rsa_key(), "k-1"), jwk(rsa_key(1), "k-1")),
    "too large": key_set(jwk(rsa_key(), "k-1")) + b" " * source.MAX_BYTES,
}


@pytest.mark.parametrize("fault", BAD_SETS)
async def test_a_bad_set_does_not_replace_a_good_one(
    publisher: Publisher, sets: KeySets, clock: HandClock, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    publisher.publish(jwk(rsa_key(), "k-0"))
    assert await ask(sets, token()) == "accepted"
    publisher.body = BAD_SETS[fault]
    clock.time += 300
    with caplog.at_level(logging.WARNING, "tenantgate.identity"):
        await sets.refresh_due()
        clock.time += 10
        await sets.refresh_due()
    assert await ask(sets, token()) == "accepted"
    assert [record.getMessage() for record in caplog.records] == ["keys not loaded"]


async def test_a_redirect_is_not_followed(publisher: Publisher, sets: KeySets, caplog: pytest.LogCaptureFixture) -> None:
    publisher.publish(jwk(rsa_key(), "k-0"))
    publisher.status, publisher.headers = "302 Found", {"Location": "/elsewhere"}
    assert await ask(sets, token()) == KEYS_UNAVAILABLE.code
    assert publisher.asked == 1
    assert "redirects are not followed" in caplog.records[0].fault


async def test_a_compressed_answer_is_not_unpacked(
    publisher: Publisher, sets: KeySets, caplog: pytest.LogCaptureFixture
) -> None:
    publisher.body = gzip.compress(key_set(jwk(rsa_key(), "k-0")) + b" " * (64 << 20))
    publisher.headers = {"Content-Encoding": "gzip"}
    assert await ask(sets, token()) == KEYS_UNAVAILABLE.code
    assert "content encoding" in caplog.records[0].fault
    assert b"accept-encoding: identity" in publisher.requests[0].lower()


async def test_an_issuer_that_never_ends_its_answer_is_given_up(
    publisher: Publisher, sets: KeySets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_DEADLINE", 0.05)
    publisher.gate.clear()
    async with asyncio.timeout(3):
        assert await ask(sets, token()) == KEYS_UNAVAILABLE.code


async def test_the_environments_proxy_is_not_used(
    publisher: Publisher, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    sets = KeySets({"idp": IssuerSettings(algorithms=("RS256",), jwks_url=publisher.url)}, clock)
    publisher.publish(jwk(rsa_key(), "k-0"))
    assert await ask(sets, token()) == "accepted"


# Files


async def test_a_file_is_read_again_when_it_changes(tmp_path: Path, clock: HandClock) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(key_set(jwk(rsa_key(), "k-0")))
    sets = KeySets({"idp": IssuerSettings(algorithms=("RS256",), jwks_file=file)}, clock)
    assert await ask(sets, token()) == "accepted"
    file.write_bytes(key_set(jwk(rsa_key(1), "k-1")))
    clock.time += 2
    await sets.refresh_due()
    assert await ask(sets, token()) == TOKEN_INVALID.code
    assert await ask(sets, token(1, "k-1")) == "accepted"
    file.unlink()
    clock.time += 2
    await sets.refresh_due()
    assert await ask(sets, token(1, "k-1")) == "accepted"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        (b"x", "not JSON"),
        (key_set(jwk(rsa_key(), "a", use="enc")), "not meant for signatures"),
        (key_set(jwk(rsa_key(), "a"), jwk(rsa_key(1), "a")), "twice"),
        (b" " * (source.MAX_BYTES + 1), "larger than 512 KiB"),
    ],
)
async def test_a_bad_file_stops_the_start(tmp_path: Path, clock: HandClock, content: bytes | None, why: str) -> None:
    file = tmp_path / "jwks.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(KeyFault, match=f"identity.issuers.idp: .*{why}"):
        KeySets({"idp": IssuerSettings(algorithms=("RS256",), jwks_file=file)}, clock)


# Settings


async def test_issuers_carry_what_their_settings_say(clock: HandClock) -> None:
    settings = IssuerSettings(
        algorithms=("HS256", "HS512"),
        secret=SECRET,
        issuer="https://a.test",
        audience="api",
        leeway="1500ms",
        claims={"tenant": "t", "role": "r", "scopes": "s"},
    )
    issuer = KeySets({"own": settings}, clock).issuers["own"]
    assert (issuer.name, issuer.algorithms, issuer.issuer, issuer.audience) == (
        "own",
        {"HS256", "HS512"},
        "https://a.test",
        "api",
    )
    assert (issuer.leeway, issuer.tenant_claim, issuer.role_claim, issuer.scope_claim) == (1.5, "t", "r", "s")


async def test_a_secret_and_a_pem_serve_at_once(clock: HandClock) -> None:
    key = key_for("EdDSA")
    sets = KeySets({"idp": IssuerSettings(algorithms=("EdDSA",), public_key=pem(key))}, clock)
    assert await ask(sets, sign(claims(), "EdDSA", key, kid="any")) == "accepted"
    sets = KeySets({"idp": IssuerSettings(algorithms=("HS256",), secret=SECRET)}, clock)
    assert await ask(sets, sign(claims(), "HS256")) == "accepted"
    await sets.start()
    await sets.close()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"algorithms": ["RS256"]}, "exactly one of"),
        ({"algorithms": ["HS256"], "secret": SECRET, "jwks_url": "https://a.test"}, "exactly one of"),
        ({"algorithms": ["HS256"], "jwks_url": "https://a.test"}, "need `secret`"),
        ({"algorithms": ["RS256", "HS256"], "public_key": pem(rsa_key())}, "need `secret`"),
        ({"algorithms": ["HS256", "RS256"], "secret": SECRET}, "not for RS256"),
        ({"algorithms": ["HS256"], "secret": "short"}, "at least 32 bytes"),
        ({"algorithms": ["RS256"], "public_key": "x"}, "not a public"),
        ({"algorithms": ["RS256"], "jwks_url": "http://a:port"}, "not a URL"),
    ],
)
async def test_settings_that_cannot_work_stop_the_start(settings: dict[str, object], why: str, clock: HandClock) -> None:
    with pytest.raises(KeyFault, match=f"identity.issuers.idp: .*{why}") as caught:
        KeySets({"idp": IssuerSettings.model_validate(json.loads(json.dumps(settings)))}, clock)
    assert SECRET not in str(caught.value)
