"""The routes of gateway.yaml, each with the policies that were built for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.pipeline.chain import Chain
from gateway.pipeline.issuer import Issuer
from gateway.pipeline.policy import Authenticator, NamesTenant, Policy, Setup
from gateway.settings.schema import Settings
from gateway.settings.values import metrics_of, resources_of, stale_for

from .match import Route

Policies = Mapping[str, Sequence[Policy]]
"""By the name of the route, in the order of the walk."""


def policies_of(settings: Settings, issuers: Mapping[str, Issuer], builtins: Mapping[str, Policy]) -> Policies:
    """`builtins`: what answers in place of an upstream, by the name of the route. It knows what its callers have a right to."""
    metrics, resources = metrics_of(settings), resources_of(settings)
    found: dict[str, Sequence[Policy]] = {}
    for route in settings.routes:
        setup = Setup(route.name, issuers, metrics, resources, settings.identity.key_prefix)
        policies: list[Policy] = [entry.build(setup) for entry in route.policies]
        own = [builtins[route.name]] if route.name in builtins else []
        found[route.name] = sorted([*own, *policies], key=lambda policy: policy.phase)
    return found


def routes_of(settings: Settings, policies: Policies) -> list[Route]:
    authenticators = [policy for chain in policies.values() for policy in chain if isinstance(policy, Authenticator)]
    return [
        Route(
            name=route.name,
            path=route.path,
            chain=Chain.of(policies[route.name], authenticators),
            upstream=route.upstream,
            builtin=route.builtin,
            hosts=route.hosts,
            methods=frozenset(route.methods),
            max_body=route.max_body,
            encoded_slashes=route.encoded_slashes,
            keep_authorization=route.keep_authorization,
            x_ratelimit_headers=route.x_ratelimit_headers,
            stale_for=stale_for(settings, route),
            white_label=route.white_label,
        )
        for route in settings.routes
    ]


def security_headers_of(policies: Policies) -> frozenset[bytes]:
    """Those that some policy reads a tenant from."""
    namers = [policy for chain in policies.values() for policy in chain if isinstance(policy, NamesTenant)]
    return frozenset(name.encode() for namer in namers for name in namer.security_headers)
