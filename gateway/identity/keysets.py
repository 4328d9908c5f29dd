"""The issuers of gateway.yaml with their keys, and what keeps the keys fresh."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from gateway.clock import Clock
from gateway.pipeline.issuer import Issuer, KeySet
from gateway.settings.schema import IssuerSettings

from .keyring import KeyFault, ring_of_pem, ring_of_secret
from .rotating import RotatingKeys
from .source import FileSource, SourceFault, UrlSource

# How often it is seen whether a set is due, and how often a file is read again. In seconds.
_TICK = 2.0


class KeySets:
    """Raises KeyFault where an issuer's keys can't be used as configured. A URL is not asked before `start`, and may fail."""

    def __init__(self, issuers: Mapping[str, IssuerSettings], clock: Clock) -> None:
        self._rotating: dict[str, RotatingKeys] = {}
        self._loop: asyncio.Task[None] | None = None
        made: dict[str, Issuer] = {}
        for name, settings in issuers.items():
            try:
                made[name] = _issuer(name, settings, self._keys(name, settings, clock))
            except (KeyFault, SourceFault) as fault:
                raise KeyFault(f"identity.issuers.{name}: {fault}") from fault
        self.issuers: Mapping[str, Issuer] = MappingProxyType(made)

    async def start(self) -> None:
        """Fetch what comes from URLs, in the background: an issuer that is down must not keep the gateway from starting."""
        if self._rotating and self._loop is None:
            self._loop = asyncio.create_task(self._keep_fresh(), name="issuers' keys")

    async def refresh(self, issuer: str) -> None:
        """Fetch the issuer's keys as far as its bounded rate allows. How it went is told by `KeySet.find`."""
        await self._rotating[issuer].refresh()

    async def refresh_due(self) -> None:
        """One round of what `start` does again and again."""
        await asyncio.gather(*(keys.refresh() for keys in self._rotating.values() if keys.due()))

    async def close(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait([self._loop])
        for keys in self._rotating.values():
            await keys.close()

    async def _keep_fresh(self) -> None:
        while True:
            await self.refresh_due()
            await asyncio.sleep(_TICK)

    def _keys(self, name: str, settings: IssuerSettings, clock: Clock) -> KeySet:
        _check_sources(settings)
        if settings.secret is not None:
            return ring_of_secret(settings.secret.get_secret_value(), settings.algorithms)
        if settings.public_key is not None:
            return ring_of_pem(settings.public_key, settings.algorithms)
        algorithms, cooldown = frozenset(settings.algorithms), settings.jwks_cooldown
        if settings.jwks_file is not None:
            file = FileSource(settings.jwks_file)
            keys = RotatingKeys(name, file, algorithms, clock, every=_TICK, cooldown=_TICK)
            keys.accept(file.read_now())
        else:
            url = UrlSource(str(settings.jwks_url))
            keys = RotatingKeys(name, url, algorithms, clock, every=settings.jwks_refresh, cooldown=cooldown)
        self._rotating[name] = keys
        return keys


def _check_sources(settings: IssuerSettings) -> None:
    sources = ("secret", "public_key", "jwks_file", "jwks_url")
    if sum(getattr(settings, source) is not None for source in sources) != 1:
        raise KeyFault(f"exactly one of {', '.join(f'`{source}`' for source in sources)} says where its keys are")
    if settings.secret is None and any(algorithm.startswith("HS") for algorithm in settings.algorithms):
        raise KeyFault("HS256, HS384 and HS512 need `secret`, and cannot stand beside other algorithms")


def _issuer(name: str, settings: IssuerSettings, keys: KeySet) -> Issuer:
    return Issuer(
        name=name,
        algorithms=frozenset(settings.algorithms),
        keys=keys,
        issuer=settings.issuer,
        audience=settings.audience,
        leeway=settings.leeway,
        tenant_claim=settings.claims.tenant,
        role_claim=settings.claims.role,
        scope_claim=settings.claims.scopes,
        org=settings.org,
    )
