"""The states of a tenant, and which leads to which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.errors import (
    TENANT_IS_ARCHIVED,
    TENANT_IS_PROVISIONING,
    TENANT_NOT_PROVISIONING,
    TENANT_NOT_SUSPENDED,
    Problem,
    Refused,
)
from gateway.registry.lifecycle import acknowledged, archived, read_only, suspended, unsuspended
from gateway.tenancy.tenant import Status, Tenant
from tests.samples import ACME

Edit = Callable[[Tenant], Tenant]


def suspend(tenant: Tenant) -> Tenant:
    return suspended(tenant, "unpaid")


def freeze(tenant: Tenant) -> Tenant:
    return read_only(tenant, True)


def thaw(tenant: Tenant) -> Tenant:
    return read_only(tenant, False)


def after(status: Status, *edits: Edit) -> Tenant:
    tenant = replace(ACME, status=status)
    for edit in edits:
        tenant = edit(tenant)
    return tenant


def refusal(status: Status, *edits: Edit) -> Problem:
    before = after(status, *edits[:-1])
    with pytest.raises(Refused) as caught:
        edits[-1](before)
    return caught.value.problem


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.READ_ONLY, Status.PROVISIONING])
def test_a_suspension_that_is_lifted_leaves_what_was_before(status: Status) -> None:
    once = after(status, suspend)
    assert (once.status, once.profile.suspend_reason) == (Status.SUSPENDED, "unpaid")
    assert after(status, suspend, unsuspended) == after(status)
    assert after(status, suspend, suspend, unsuspended) == after(status)


def test_the_reason_of_a_suspension_is_written_anew() -> None:
    assert suspended(after(Status.ACTIVE, suspend), "fraud").profile.suspend_reason == "fraud"
    assert suspended(after(Status.ACTIVE, suspend), None).profile.suspend_reason is None


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.READ_ONLY, Status.PROVISIONING])
def test_only_a_suspension_can_be_lifted(status: Status) -> None:
    assert refusal(status, unsuspended) is TENANT_NOT_SUSPENDED


@pytest.mark.parametrize("edit", [suspend, unsuspended, acknowledged, freeze, thaw])
@pytest.mark.parametrize("before", [[], [suspend]])
def test_archiving_is_final(edit: Edit, before: list[Edit]) -> None:
    assert refusal(Status.ACTIVE, *before, archived, edit) is TENANT_IS_ARCHIVED
    assert after(Status.ACTIVE, *before, archived, archived).status is Status.ARCHIVED


def test_an_acknowledgement_ends_the_setting_up_and_nothing_else() -> None:
    assert after(Status.PROVISIONING, acknowledged).status is Status.ACTIVE
    for status in (Status.ACTIVE, Status.READ_ONLY, Status.SUSPENDED):
        assert refusal(status, acknowledged) is TENANT_NOT_PROVISIONING
    # It does not lift a suspension.
    assert after(Status.PROVISIONING, suspend, acknowledged).status is Status.SUSPENDED
    assert after(Status.PROVISIONING, suspend, acknowledged, unsuspended).status is Status.ACTIVE


def test_read_only_goes_on_and_off() -> None:
    assert after(Status.ACTIVE, freeze).status is Status.READ_ONLY
    assert after(Status.ACTIVE, freeze, thaw) == after(Status.ACTIVE)
    assert after(Status.ACTIVE, thaw) == after(Status.ACTIVE)


def test_of_a_suspended_tenant_read_only_says_what_it_will_be() -> None:
    assert after(Status.ACTIVE, suspend, freeze).status is Status.SUSPENDED
    assert after(Status.ACTIVE, suspend, freeze, unsuspended).status is Status.READ_ONLY
    assert after(Status.READ_ONLY, suspend, thaw, unsuspended).status is Status.ACTIVE


def test_what_is_being_set_up_becomes_neither_read_only_nor_active_by_it() -> None:
    for before in ([], [suspend]):
        assert refusal(Status.PROVISIONING, *before, freeze) is TENANT_IS_PROVISIONING
        assert after(Status.PROVISIONING, *before, thaw) == after(Status.PROVISIONING, *before)
