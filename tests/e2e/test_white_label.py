"""Hosts of tenants' own on the running product."""

from __future__ import annotations

import pytest

from .stack import Customer
from .test_domains import DOMAINS, Mail, mail

__all__ = ["mail"]


@pytest.fixture
def shop(mail: Mail) -> tuple[Customer, str, str]:
    """A tenant with a host of its own, and the id of that domain."""
    acme = mail.customer()
    host = f"shop.{acme.slug}.example"
    return acme, host, mail.prove(host, tenant_id=acme.id)


def test_a_host_says_for_which_tenant_a_request_is(mail: Mail, shop: tuple[Customer, str, str]) -> None:
    acme, host, _ = shop
    # Several, on one connection: those that are remembered by their heads as well.
    for _ in range(4):
        assert mail.gateway.public.get("/shop/window", headers={"Host": host}).status_code == 200
        seen = mail.upstream.seen[-1]
        assert (seen.header("x-tenant"), seen.header("x-auth-method")) == (acme.slug, "public")
        assert seen.header("x-forwarded-host") == host
    key = mail.mint(acme.id)
    assert mail.gateway.public.get("/shop/window", headers={"Host": host, "X-Api-Key": key}).status_code == 200
    assert mail.upstream.seen[-1].header("x-auth-method") == "api_key"


def test_other_hosts_and_other_tenants_credentials_get_nowhere(mail: Mail, shop: tuple[Customer, str, str]) -> None:
    _, host, _ = shop
    before = len(mail.upstream.seen)
    for other in ("unknown.example", "127.0.0.1", f"x.{host}"):
        answer = mail.gateway.public.get("/shop/window", headers={"Host": other})
        assert (answer.status_code, answer.json()["code"]) == (404, "ROUTE_NOT_FOUND")
    foreign = mail.mint(mail.customer().id)
    answer = mail.gateway.public.get("/shop/window", headers={"Host": host, "X-Api-Key": foreign})
    assert (answer.status_code, answer.json()["code"]) == (401, "TENANT_MISMATCH")
    assert len(mail.upstream.seen) == before


def test_a_domain_is_no_host_any_more_when_its_deletion_has_answered(mail: Mail, shop: tuple[Customer, str, str]) -> None:
    _, host, domain = shop
    for _ in range(4):
        assert mail.gateway.public.get("/shop/window", headers={"Host": host}).status_code == 200
    mail.gateway.public.delete(f"{DOMAINS}/{domain}", headers=mail.root()).raise_for_status()
    for _ in range(4):
        assert mail.gateway.public.get("/shop/window", headers={"Host": host}).status_code == 404
    heir = mail.customer()
    mail.prove(host, tenant_id=heir.id)
    assert mail.gateway.public.get("/shop/window", headers={"Host": host}).status_code == 200
    assert mail.upstream.seen[-1].header("x-tenant") == heir.slug


def test_a_suspended_tenants_host_is_not_served(mail: Mail, shop: tuple[Customer, str, str]) -> None:
    acme, host, _ = shop
    assert mail.gateway.public.get("/shop/window", headers={"Host": host}).status_code == 200
    mail.gateway.admin.post("/suspend/tenant", params={"tenant_id": acme.id}).raise_for_status()
    for _ in range(4):
        assert mail.gateway.public.get("/shop/window", headers={"Host": host}).json()["code"] == "TENANT_SUSPENDED"
