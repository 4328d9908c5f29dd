from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import TENANT_ARCHIVED, TENANT_PROVISIONING, TENANT_READ_ONLY, TENANT_SUSPENDED, Refused
from gateway.pipeline.call import Call
from gateway.pipeline.principal import ANONYMOUS, Principal
from gateway.tenancy.tenant import Status
from policies.tenant_status import TenantStatus
from tests import samples
from tests.samples import ACME, BOUND_KEY, HMAC, JWT, ROOT_KEY

REFUSE = TenantStatus(TenantStatus.Config(), samples.SETUP)
READ = TenantStatus(TenantStatus.Config(suspended="read"), samples.SETUP)
SAFE, UNSAFE = ["GET", "HEAD", "OPTIONS"], ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"]


def calling(status: Status, method: str = "GET", caller: Principal = JWT, *, websocket: bool = False) -> Call:
    return samples.call(caller, replace(ACME, status=status), request=samples.request(method, websocket=websocket))


def refusal(policy: TenantStatus, call: Call) -> Refused:
    with pytest.raises(Refused) as refused:
        policy.check(call)
    return refused.value


@pytest.mark.parametrize("method", SAFE + UNSAFE)
def test_an_active_tenant_is_served(method):
    REFUSE.check(calling(Status.ACTIVE, method))


@pytest.mark.parametrize("caller", [JWT, HMAC, BOUND_KEY, ROOT_KEY])
@pytest.mark.parametrize("method", SAFE + UNSAFE)
def test_suspended_and_archived_tenants_are_refused(method, caller):
    assert refusal(REFUSE, calling(Status.SUSPENDED, method, caller)).problem is TENANT_SUSPENDED
    assert refusal(REFUSE, calling(Status.ARCHIVED, method, caller)).problem is TENANT_ARCHIVED


@pytest.mark.parametrize("method", SAFE)
def test_support_may_read_for_suspended_and_archived_tenants_where_the_route_says_so(method):
    READ.check(calling(Status.SUSPENDED, method, ROOT_KEY))
    READ.check(calling(Status.ARCHIVED, method, ROOT_KEY))


@pytest.mark.parametrize("method", UNSAFE)
def test_support_may_only_read(method):
    assert refusal(READ, calling(Status.SUSPENDED, method, ROOT_KEY)).problem is TENANT_SUSPENDED
    assert refusal(READ, calling(Status.ARCHIVED, method, ROOT_KEY)).problem is TENANT_ARCHIVED


def test_support_may_not_open_a_websocket_that_can_carry_anything():
    assert refusal(READ, calling(Status.SUSPENDED, "GET", ROOT_KEY, websocket=True)).problem is TENANT_SUSPENDED


@pytest.mark.parametrize("caller", [JWT, HMAC, BOUND_KEY])
def test_the_tenant_itself_does_not_read_as_support(caller):
    assert refusal(READ, calling(Status.SUSPENDED, "GET", caller)).problem is TENANT_SUSPENDED
    assert refusal(READ, calling(Status.ARCHIVED, "GET", caller)).problem is TENANT_ARCHIVED


def test_a_read_only_tenant_reads():
    for method in SAFE:
        REFUSE.check(calling(Status.READ_ONLY, method))


@pytest.mark.parametrize("method", UNSAFE)
def test_a_read_only_tenant_does_not_write(method):
    assert refusal(REFUSE, calling(Status.READ_ONLY, method)).problem is TENANT_READ_ONLY
    assert refusal(READ, calling(Status.READ_ONLY, method, ROOT_KEY)).problem is TENANT_READ_ONLY


def test_a_read_only_tenant_opens_no_websocket():
    assert refusal(REFUSE, calling(Status.READ_ONLY, websocket=True)).problem is TENANT_READ_ONLY


@pytest.mark.parametrize("policy", [REFUSE, READ])
def test_a_tenant_that_is_being_set_up_is_told_when_to_come_back(policy):
    refused = refusal(policy, calling(Status.PROVISIONING, caller=ROOT_KEY))
    assert refused.problem is TENANT_PROVISIONING
    assert refused.problem.status == 503
    assert refused.retry_after is not None
    assert refused.retry_after >= 1


@pytest.mark.parametrize("status", Status)
def test_every_status_but_active_refuses_a_write(status):
    if status is not Status.ACTIVE:
        refusal(REFUSE, calling(status, "POST"))


def test_without_a_tenant_there_is_no_status():
    REFUSE.check(samples.call(ANONYMOUS, None))
