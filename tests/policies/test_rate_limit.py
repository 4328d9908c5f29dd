from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from gateway.errors import TENANT_HEADER_MISSING, Refused
from gateway.pipeline.policy import Setup
from gateway.pipeline.principal import ANONYMOUS
from gateway.tenancy import plan
from policies.rate_limit import RateLimit
from tests import samples
from tests.samples import ACME, BOUND_KEY, GLOBEX, HMAC, JWT, ROOT_KEY

FAST, SLOW = plan.RateLimit.parse("100/second"), plan.RateLimit.parse("5/minute")
PLANNED = plan.Plan("pro", rate=FAST)


def rates(caller=JWT, tenant=ACME, *, bundle=PLANNED, client_ip="203.0.113.7", route="things", **config):
    policy = RateLimit(RateLimit.Config(**config), Setup(route))
    request = samples.request(client_ip=client_ip)
    return list(policy.demands(samples.call(caller, tenant, plan=bundle, request=request)))


def bucket(*args, **kwargs):
    (rate,) = rates(*args, **kwargs)
    return rate.scope, rate.subject


class TestTheTenantsOwnRate:
    def test_is_the_plans(self):
        (rate,) = rates()
        assert (rate.name, rate.scope, rate.limit) == ("tenant", "tenant", FAST)

    def test_is_its_own_where_it_has_one(self):
        assert rates(tenant=replace(ACME, rate=SLOW))[0].limit == SLOW

    def test_is_one_bucket_over_all_routes_and_callers(self):
        assert bucket(JWT, route="a") == bucket(HMAC, route="b")

    def test_is_not_shared_by_tenants(self):
        assert bucket(tenant=ACME) != bucket(tenant=GLOBEX)

    def test_is_nothing_where_the_plan_has_none(self):
        assert rates(bundle=samples.PRO) == []

    def test_is_called_what_the_route_calls_it(self):
        assert rates(name="overall")[0].name == "overall"

    def test_cannot_be_escaped_by_sending_no_credential(self):
        with pytest.raises(Refused) as refused:
            rates(ANONYMOUS, None)
        assert refused.value.problem is TENANT_HEADER_MISSING


class TestTheCredentialsOwnRate:
    def test_stands_beside_the_tenants(self):
        tenants, own = rates(replace(BOUND_KEY, rate=SLOW))
        assert (tenants.scope, tenants.limit) == ("tenant", FAST)
        assert (own.name, own.scope, own.limit) == ("credential", "credential", SLOW)

    def test_of_a_platform_key_is_one_bucket_over_all_tenants(self):
        key = replace(ROOT_KEY, rate=SLOW)
        subjects = {rates(key, tenant)[-1].subject for tenant in (ACME, GLOBEX, None)}
        assert len(subjects) == 1

    def test_bounds_a_platform_key_that_acts_for_no_tenant(self):
        assert [rate.scope for rate in rates(replace(ROOT_KEY, rate=SLOW), None)] == ["credential"]
        assert rates(ROOT_KEY, None) == []


class TestARateOfTheRoute:
    @pytest.mark.parametrize("per", ["tenant", "credential", "route", "client_ip"])
    def test_is_named_after_the_route_and_apart_from_every_other_routes(self, per):
        (rate,) = rates(per=per, rate="5/minute", burst=2)
        assert (rate.name, rate.scope, rate.limit) == ("things", per, plan.RateLimit(5, 60, 2))
        assert bucket(per=per, rate="5/minute", route="others") != (rate.scope, rate.subject)

    def test_is_not_the_tenants_own_bucket_even_on_a_route_called_tenant(self):
        assert bucket(rate="5/minute", route="tenant") != bucket()

    def test_may_stand_beside_a_longer_one(self):
        assert bucket(rate="5/second") != bucket(rate="100/hour")

    def test_keeps_what_was_used_when_its_count_changes(self):
        assert bucket(rate="5/second") == bucket(rate="7/second", burst=1)

    def test_per_tenant_tells_tenants_apart(self):
        assert bucket(tenant=ACME, rate="5/second") != bucket(tenant=GLOBEX, rate="5/second")
        assert bucket(ROOT_KEY, None, rate="5/second") == bucket(replace(ROOT_KEY, subject="other"), None, rate="5/second")

    def test_per_credential_tells_keys_and_subjects_apart(self):
        config = {"per": "credential", "rate": "5/second"}
        callers = [JWT, replace(JWT, subject="bob"), BOUND_KEY, replace(BOUND_KEY, credential_id="key_9")]
        assert len({bucket(caller, **config) for caller in callers}) == len(callers)

    def test_per_credential_counts_a_subject_however_often_the_token_is_renewed(self):
        config = {"per": "credential", "rate": "5/second"}
        assert bucket(replace(JWT, credential_id="jti-1"), **config) == bucket(replace(JWT, credential_id="jti-2"), **config)

    def test_per_credential_keeps_the_same_subject_of_two_tenants_apart(self):
        config = {"per": "credential", "rate": "5/second"}
        assert bucket(JWT, ACME, **config) != bucket(JWT, GLOBEX, **config)

    def test_per_route_is_shared_by_all_callers(self):
        config = {"per": "route", "rate": "5/second"}
        assert bucket(JWT, ACME, **config) == bucket(ANONYMOUS, None, **config)

    @pytest.mark.parametrize("per", ["tenant", "credential"])
    def test_that_counts_callers_refuses_those_that_it_cannot_tell_apart(self, per):
        with pytest.raises(Refused):
            rates(ANONYMOUS, None, per=per, rate="5/second")


class TestARatePerClientIp:
    def same(self, one, other):
        config = {"per": "client_ip", "rate": "5/second"}
        return bucket(ANONYMOUS, None, client_ip=one, **config) == bucket(ANONYMOUS, None, client_ip=other, **config)

    def test_counts_an_ipv4_address(self):
        assert not self.same("203.0.113.7", "203.0.113.8")

    def test_counts_the_64_bit_network_of_an_ipv6_address(self):
        assert self.same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9")
        assert not self.same("2001:db8:1:2::1", "2001:db8:1:3::1")

    def test_knows_an_ipv4_address_in_its_mapped_form(self):
        assert self.same("::ffff:203.0.113.7", "203.0.113.7")
        assert not self.same("::ffff:203.0.113.7", "::ffff:203.0.113.8")

    def test_ignores_the_zone_of_a_link_local_address(self):
        assert self.same("fe80::1%eth0", "fe80::1%eth1")

    def test_counts_callers_without_an_address_together(self):
        assert self.same("unix", "unix")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"rate": "5/fortnight"}, "is not a rate such as"),
        ({"rate": "5"}, "is not a rate such as"),
        ({"per": "client_ip"}, "needs a `rate`"),
        ({"burst": 5}, "needs a `rate`"),
        ({"rate": "5/second", "burst": -1}, "greater than or equal"),
        ({"name": 'a"b'}, "match pattern"),
        ({"per": "planet", "rate": "5/second"}, "Input should be"),
        ({"limit": 5}, "Extra inputs"),
    ],
)
def test_a_limit_that_means_nothing_stops_the_start(config, message):
    with pytest.raises(ValidationError, match=message):
        RateLimit.Config(**config)
