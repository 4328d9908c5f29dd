"""What no single key can tell: names that must be declared, values that must fit together.

A part of the file is checked once its shape is right, whether or not other parts are; names are taken from the file as they
stand. So everything that is wrong is told at once, and nothing is told that only follows from something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from .document import Document
from .fault import KeyPath
from .keys import check_issuer, check_secrets
from .names import declared, metric_names
from .routes import check_routes
from .schema import IssuerSettings, Listeners, MetricSettings, OrgSettings, PlanSettings, RouteSettings, Secrets
from .tls import check_tls
from .upstreams import Upstream
from .values import BUILTIN_METRICS, cap_of

M = TypeVar("M", bound=BaseModel)


def check(document: Document) -> None:
    """Add every fault of this kind to `document`."""
    for path, listeners in _parts(document, ("listeners",), Listeners):
        _check_ports(document, path, listeners)
    for path, secrets in _parts(document, ("secrets",), Secrets):
        check_secrets(document, path, secrets)
    for path, issuer in _parts(document, ("identity", "issuers", "*"), IssuerSettings):
        check_issuer(document, path, issuer)
        if issuer.org is not None and issuer.org not in declared(document, "orgs"):
            document.refuse_reference((*path, "org"), "org", issuer.org, declared(document, "orgs"))
    for path, upstream in _parts(document, ("upstreams", "*"), Upstream):
        _check_targets(document, path, upstream)
        check_tls(document, path, upstream)
    _check_metrics(document)
    for path, plan in _parts(document, ("plans", "*"), PlanSettings):
        _check_plan(document, path, plan)
    for path, org in _parts(document, ("orgs", "*"), OrgSettings):
        _check_org(document, path, org)
    check_routes(document, dict(_parts(document, ("routes", "*"), RouteSettings)))


def _parts(document: Document, pattern: KeyPath, model: type[M]) -> Iterator[tuple[KeyPath, M]]:
    """The values at `pattern` that have the shape of `model`; `*` stands for every key or index."""
    for path in _paths(document, pattern):
        try:
            yield path, model.model_validate(document.at(path))
        except ValidationError:
            continue  # It is told already, with its place.


def _paths(document: Document, pattern: KeyPath) -> Iterator[KeyPath]:
    if "*" not in pattern:
        yield from [pattern] if document.at(pattern) is not None else []
        return
    around = pattern[: pattern.index("*")]
    match document.at(around):
        case dict() as entries:
            yield from ((*around, name) for name in entries)
        case list() as items:
            yield from ((*around, index) for index in range(len(items)))


def _check_ports(document: Document, path: KeyPath, listeners: Listeners) -> None:
    if listeners.public.port == listeners.admin.port != 0:
        at = next(
            (here for here in ((*path, "admin", "port"), (*path, "public", "port")) if document.at(here) is not None), path
        )
        document.refuse(at, f"port {document.show(at, listeners.admin.port)} for both listeners", "a port of its own for each")


def _check_targets(document: Document, path: KeyPath, upstream: Upstream) -> None:
    for index, target in enumerate(upstream.targets):
        at = (*path, "targets", index)
        try:
            parts = urlsplit(target)
            usable = bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            document.refuse(at, document.show(at, target), "a host, and a port from 1 to 65535 where there is one")


def _check_metrics(document: Document) -> None:
    owners = {metric.cap: metric.name for metric in BUILTIN_METRICS.values()}
    for path, metric in _parts(document, ("metrics", "*"), MetricSettings):
        name = str(path[-1])
        cap = metric.cap or cap_of(name)
        if name in BUILTIN_METRICS:
            document.refuse(path, f"the built-in metric {name}", "a name of its own", at_key=True)
        elif owners.setdefault(cap, name) != name:
            document.refuse(path, f"the cap {cap}, which {owners[cap]} has", "a cap of its own", "Give it one by `cap`.")


def _check_plan(document: Document, path: KeyPath, plan: PlanSettings) -> None:
    _check_quotas(document, path, plan.quotas)
    if plan.burst is not None and plan.rate is None:
        document.refuse((*path, "burst"), "a burst without a rate", "a rate beside it", "Add rate, such as 100/second.")


def _check_org(document: Document, path: KeyPath, org: OrgSettings) -> None:
    _check_quotas(document, path, org.quotas)
    plans = declared(document, "plans")
    if org.default_plan not in plans:
        document.refuse_reference((*path, "default_plan"), "plan", org.default_plan, plans)


def _check_quotas(document: Document, path: KeyPath, quotas: Mapping[str, int | None]) -> None:
    metrics = metric_names(document)
    for metric in quotas:
        if metric not in metrics:
            document.refuse_reference((*path, "quotas", metric), "metric", metric, metrics, at_key=True)
