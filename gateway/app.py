"""The composition root: the only place where the parts are built and joined."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from starlette.types import ASGIApp

from gateway.api.admin import Check, admin_app
from gateway.api.apis import operator_document
from gateway.api.operator.app import operator_app
from gateway.api.operator.catalogue import operator_endpoints
from gateway.api.parts import Parts
from gateway.api.platform.catalogue import mounted
from gateway.billing.billed import Billed
from gateway.clock import Clock, SystemClock
from gateway.decision import Decider
from gateway.edge.observe import Observer
from gateway.edge.request import RequestReader
from gateway.errors import SHUTTING_DOWN, Refused
from gateway.express.server import Express
from gateway.forward.identity import IdentitySigner
from gateway.forward.pool import Upstreams
from gateway.identity.keysets import KeySets
from gateway.identity.signing_key import derived_signing_key
from gateway.ledger.carry import Carry
from gateway.ledger.deferral import Deferral
from gateway.ledger.journal import Journal
from gateway.ledger.ledger import Ledger
from gateway.ledger.outage import Outage
from gateway.ledger.replay import Replay
from gateway.ledger.resources import Resources
from gateway.ledger.standby import Standby
from gateway.ledger.usage import Usage
from gateway.proxy import Proxy
from gateway.registry.changes import Changes
from gateway.registry.cipher import Cipher
from gateway.registry.domains import Domains
from gateway.registry.dump import Dump
from gateway.registry.idempotency import Answers
from gateway.registry.key_index import KeyIndex
from gateway.registry.keys import Keys
from gateway.registry.last_used import LastUsed
from gateway.registry.listener import Listener
from gateway.registry.listing import TenantList
from gateway.registry.proof import Proof
from gateway.registry.provisioning import Provisioning
from gateway.registry.records import Records
from gateway.registry.restore import Restore
from gateway.registry.revocation import TokenRevocations
from gateway.registry.shelf import Shelf
from gateway.registry.tenants import Tenants
from gateway.registry.webhooks import Webhooks
from gateway.routing.match import Router
from gateway.routing.table import policies_of, routes_of, security_headers_of
from gateway.settings.schema import Secrets, Settings
from gateway.settings.values import grants_of, journal_dir_of, metrics_of, orgs_of, plans_of, resources_of, stale_for
from gateway.store.client import Observe
from gateway.store.connect import Place, open_store, source_of
from gateway.telemetry.access import AccessLog
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.upstreams import UpstreamMetrics
from gateway.transaction import Machine
from gateway.webhooks.address import Rules
from gateway.webhooks.dispatch import IN_FLIGHT, Dispatcher
from gateway.webhooks.follow import Follower
from gateway.webhooks.hold import Hold
from gateway.webhooks.letters import Letters
from gateway.webhooks.queue import Queue
from gateway.webhooks.quota import QuotaWatch
from gateway.webhooks.send import Sender, SystemResolver


class StartFault(Exception):
    """The gateway can't be built as configured; says what to do."""


class Readiness:
    """Whether new requests are welcome."""

    def __init__(self) -> None:
        self._draining = False

    def drain(self) -> None:
        self._draining = True

    async def check(self) -> None:
        """Raises Refused(SHUTTING_DOWN)."""
        if self._draining:
            raise Refused(SHUTTING_DOWN)


@dataclass(frozen=True)
class Gateway:
    """A built gateway: the application of each listener, the registry behind them, and what is told of it. `express` serves the
    public one by our own protocol. `drain` is called before the public listener stops."""

    public: ASGIApp
    express: Express
    admin: ASGIApp
    tenants: Tenants
    keys: Keys
    metrics: Metrics
    checks: Mapping[str, Check]
    drain: Callable[[], None]


class Others(Protocol):
    """Processes that are one gateway with this one, which tells for all of them."""

    async def check(self) -> None:
        """Raises Refused where one of them does not serve."""
        ...

    async def exposition(self, own: Metrics, accept: str) -> tuple[bytes, str]:
        """The metrics of all as those of one, `own` among them."""
        ...


@asynccontextmanager
async def open_gateway(
    settings: Settings,
    clock: Clock | None = None,
    *,
    place: Place | None = None,
    worker: int | None = None,
    others: Others | None = None,
) -> AsyncIterator[Gateway]:
    """Build everything that `settings` describe, in the order in which one part needs another; stop it in the reverse order.

    `place`: where the store is, if it runs already. `worker`: the number of this process, where there are several. `others`:
    those that it tells for on the admin listener.

    Raises StartFault, EmbeddedStoreError and KeyFault for what only shows when it is built, and Refused(STORE_UNAVAILABLE).
    """
    clock = clock or SystemClock()
    metrics, log = Metrics(), AccessLog(sys.stdout, clock, worker)
    async with open_store(settings.store, _observing(metrics), place) as store:
        shortfall = await store.durable.shortfall()
        if shortfall and settings.store.require_durable:
            raise StartFault(f"store.require_durable is set, and the store can lose a change that has answered: {shortfall}.")
        keysets = KeySets(settings.identity.issuers, clock)
        upstreams = Upstreams(settings.upstreams, clock)
        metrics.add(UpstreamMetrics(upstreams.health))
        secrets, orgs = settings.secrets, orgs_of(settings)
        cipher = _cipher(secrets)
        shelf = Shelf(store, cipher, orgs)
        records = Records(shelf, clock)
        directory, source = journal_dir_of(settings), source_of(settings.store)
        journal = _journal(settings, directory, source)
        deferral = None if journal is None else _deferral(journal, metrics)
        ledger = Ledger(store, records, clock, deferral=deferral)
        standby = Standby(clock, ledger.last_lease)
        replay = Replay(store, directory, source, journal, standby.forget)
        listener = Listener(shelf, records, ledger.recalled)
        changes = Changes(shelf, records, clock)
        provisioning = Provisioning(changes, records)
        signer = IdentitySigner(
            secrets.identity_key.get_secret_value() or derived_signing_key(secrets.encryption_key.get_secret_value())
        )
        plans, declared = plans_of(settings), metrics_of(settings)
        resources = Resources(store, resources_of(settings))
        webhooks, events = Webhooks(changes), Queue(store)
        rules = Rules(settings.webhooks.allow_http, settings.webhooks.allow_private)
        follower, hold = Follower(changes.audit, webhooks, events, clock), Hold(store, clock, "webhooks-hold")
        resolver = SystemResolver(IN_FLIGHT)
        sender = Sender(rules, resolver)
        dispatcher = Dispatcher(orgs, follower, events, sender, webhooks, hold, clock, ended=metrics.webhook_attempt)
        quotas, telling = (
            QuotaWatch(store, webhooks, events, clock),
            any(route.builtin == "webhooks" for route in settings.routes),
        )
        tenants, keys, answers = Tenants(changes), Keys(changes, settings.identity.key_prefix), Answers(store, cipher)
        last_used = LastUsed(store, clock)
        usage = Usage(store)
        parts = Parts(
            clock=clock,
            tenants=tenants,
            tenant_list=TenantList(shelf),
            keys=keys,
            key_index=KeyIndex(shelf),
            last_used=last_used,
            grants=grants_of(settings),
            revocations=TokenRevocations(changes),
            domains=Domains(changes, Proof(settings.domains.resolver, settings.domains.timeout)),
            resources=resources,
            usage=usage,
            billed=Billed(store, usage, clock.now),
            audit=changes.audit,
            answers=answers,
            webhooks=webhooks,
            events=events,
            letters=Letters(store),
            webhook_rules=rules,
            plans=plans,
            orgs=orgs,
            metrics=declared,
            jwks=signer.jwks,
            dump=Dump(shelf, changes.audit),
            restore=Restore(changes),
            carry=Carry(store, clock),
        )
        builtins = mounted(settings.routes, parts)
        policies = policies_of(settings, keysets.issuers, builtins)
        machine = Machine(
            reader=RequestReader(clock, settings.listeners.public.trusted_proxies, security_headers_of(policies)),
            decider=Decider(Router(routes_of(settings, policies)), records, ledger.take, plans, orgs),
            keysets=keysets,
            records=records,
            provisioning=provisioning,
            ledger=ledger,
            last_used=last_used,
            outage=Outage(store, ledger, standby, deferral, records.age, clock, metrics.standby_request),
            upstreams=upstreams,
            signer=signer,
            builtins=builtins,
            observer=Observer(metrics, log, clock),
            clock=clock,
            body_idle=settings.listeners.public.body_idle,
            denied=quotas.denied if telling else lambda question, verdict: None,
        )
        admin_keys = {name: key.get_secret_value() for name, key in secrets.admin_keys.items()}
        calls = operator_endpoints(parts)
        operator = operator_app(calls, admin_keys, answers)
        readiness = Readiness()
        checks: dict[str, Check] = {"store": store.ping, "serving": readiness.check}
        if others is not None:
            checks["workers"] = others.check

        async def exposition(accept: str) -> tuple[bytes, str]:
            return metrics.exposition(accept) if others is None else await others.exposition(metrics, accept)

        admin = admin_app(operator, checks, exposition, signer.jwks, operator_document(calls))
        await keysets.start()
        listener.start()
        replay.start()
        last_used.start()
        upstreams.start()
        if telling:
            dispatcher.start()
        try:
            proxy = Proxy(machine)
            yield Gateway(proxy, Express(machine, proxy), admin, tenants, keys, metrics, checks, readiness.drain)
        finally:
            log.flush()
            await quotas.close()
            await dispatcher.close()
            resolver.close()
            await keysets.close()
            await provisioning.close()
            await ledger.close()
            await replay.close()
            await last_used.close()
            await listener.close()
            await records.close()
            await upstreams.close()


def _journal(settings: Settings, directory: Path, source: str) -> Journal | None:
    """Where some route goes on without the store; no other writes one."""
    if all(stale_for(settings, route) is None for route in settings.routes):
        return None
    try:
        return Journal.create(directory, source, settings.store.journal_size)
    except OSError as error:
        raise StartFault(f"The journal for on_store_failure can't be written in {directory}: {error.strerror}.") from error


def _deferral(journal: Journal, metrics: Metrics) -> Deferral:
    metrics.journal(lambda: journal.waiting)
    return Deferral(journal, metrics.journal_refusal)


def _cipher(secrets: Secrets) -> Cipher:
    key = secrets.encryption_key.get_secret_value()
    if not key:
        raise StartFault("secrets.encryption_key is not set: give it 32 bytes in base64, made by `openssl rand -base64 32`.")
    return Cipher(key, [retired.get_secret_value() for retired in secrets.retired_encryption_keys])


def _observing(metrics: Metrics) -> Observe:
    def observe(call: str, seconds: float, answered: bool) -> None:
        metrics.store_call(call, seconds)
        if not answered:
            metrics.store_failure(call)

    return observe
