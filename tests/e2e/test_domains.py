"""Domains on the running product: proved over DNS, then named in bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.registry.dns_server import Zone

from .conftest import World
from .dns_thread import served_in_thread
from .recorder import Recorder
from .stack import GatewayProcess, environment

DOMAINS = "/api/v1/domains"


@dataclass(frozen=True)
class Mail(World):
    zone: Zone

    def root(self) -> dict[str, str]:
        return {"X-Api-Key": self.mint("main", frozenset({"write:domains"}))}

    def prove(self, domain: str, **fields: object) -> str:
        """The id of a new domain."""
        made = self.gateway.public.post(DOMAINS, json={"domain": domain, **fields}, headers=self.root()).json()
        self.zone.texts[made["record"]["name"]] = [made["record"]["value"]]
        self.gateway.public.post(f"{DOMAINS}/{made['id']}/verify", headers=self.root()).raise_for_status()
        name: str = made["id"]
        return name


@pytest.fixture(scope="module")
def mail(launch: Callable[..., GatewayProcess], upstream: Recorder, store_socket: Path) -> Iterator[Mail]:
    environ, prefix = environment(), f"e2e-{uuid4().hex[:8]}"
    with served_in_thread() as zone:
        gateway = launch(upstream.url, environ | {"TENANTGATE__DOMAINS__RESOLVER": zone.address}, prefix)
        yield Mail(gateway, upstream, f"unix://{store_socket}", prefix, environ, zone)


def send(mail: Mail, key: str, sender: str, **headers: str) -> httpx.Response:
    return mail.gateway.public.post("/mail/send", json={"from": sender, "to": ["x@y.z"]}, headers={"X-Api-Key": key, **headers})


def test_a_key_sends_from_the_domains_that_it_allows_and_from_no_others(mail: Mail) -> None:
    acme, globex = mail.customer(), mail.customer()
    first = mail.prove(f"first.{acme.slug}.example", tenant_id=acme.id)
    mail.prove(f"second.{acme.slug}.example", tenant_id=acme.id)
    mail.prove(f"{globex.slug}.example", tenant_id=globex.id)
    free, bound = mail.mint(acme.id), mail.mint(acme.id, allowed_domain_ids=(first,))
    assert send(mail, bound, f"a@first.{acme.slug}.example").status_code == 200
    assert mail.upstream.seen[-1].header("x-allowed-domain-ids") == first
    assert send(mail, free, f"a@second.{acme.slug}.example").status_code == 200
    before = len(mail.upstream.seen)
    for key, sender in (
        (bound, f"a@second.{acme.slug}.example"),
        (free, f"a@{globex.slug}.example"),
        (free, "a@nobody.example"),
        (free, f"a@{globex.slug}.example, a@first.{acme.slug}.example"),
    ):
        refused = send(mail, key, sender)
        assert (refused.status_code, refused.json()["code"]) == (403, "DOMAIN_NOT_ALLOWED")
    assert len(mail.upstream.seen) == before


def test_a_body_goes_on_as_it_came(mail: Mail) -> None:
    acme = mail.customer()
    mail.prove(f"{acme.slug}.example", tenant_id=acme.id)
    body = b'{"from" : "a@%s.example",\n "x": 1e5}' % acme.slug.encode()
    key = mail.mint(acme.id)
    for content in (body, iter([body[:9], body[9:]])):
        answer = mail.gateway.public.post("/mail/send", content=content, headers={"X-Api-Key": key})
        assert answer.status_code == 200
        assert mail.upstream.seen[-1].body == body


def test_the_organizations_domains_are_for_all_its_tenants_until_they_are_deleted(mail: Mail) -> None:
    acme, name = mail.customer(), f"{uuid4().hex}.example"
    shared, key = mail.prove(name), mail.mint(acme.id)
    assert send(mail, key, f"a@{name}").status_code == 200
    platform = mail.root()
    assert send(mail, platform["X-Api-Key"], f"a@{name}", **{"X-Tenant": acme.slug}).status_code == 200
    mail.gateway.public.delete(f"{DOMAINS}/{shared}", headers=platform).raise_for_status()
    for _ in range(5):
        assert send(mail, key, f"a@{name}").json()["code"] == "DOMAIN_NOT_ALLOWED"
