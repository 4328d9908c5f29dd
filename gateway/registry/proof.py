"""The proof that a domain is its owner's: a TXT record in the DNS, looked up by the operator's resolver."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

from dns.asyncresolver import Resolver
from dns.exception import DNSException
from dns.nameserver import Do53Nameserver
from dns.resolver import NXDOMAIN, NoAnswer

from gateway.errors import RESOLVER_UNAVAILABLE, Refused

SYSTEM = "system"
_AT_ONCE = 16
_RETRY = 5


class Proof:
    """`resolver` is `address:port`, or `system`: the one of /etc/resolv.conf. `timeout`, in seconds, holds for a whole look-up,
    waiting for its turn included."""

    def __init__(self, resolver: str, timeout: float) -> None:
        self._resolver = resolver
        self._timeout = timeout
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def texts(self, name: str) -> tuple[str, ...]:
        """The TXT records that stand there now; an alias is followed. Raises Refused(RESOLVER_UNAVAILABLE)."""
        try:
            async with asyncio.timeout(self._timeout), self._turns:
                # Made anew each time: the system's may have changed, and nothing is remembered of what was not there yet.
                answer = await self._made().resolve(f"{name}.", "TXT", lifetime=self._timeout)
        except (NXDOMAIN, NoAnswer):
            return ()
        except (DNSException, OSError, TimeoutError) as error:
            raise Refused(RESOLVER_UNAVAILABLE, retry_after=_RETRY) from error
        return tuple(b"".join(record.strings).decode("utf-8", "replace") for record in answer)

    def _made(self) -> Resolver:
        if self._resolver == SYSTEM:
            return Resolver()
        host, _, port = self._resolver.rpartition(":")
        resolver = Resolver(configure=False)
        resolver.nameservers = [Do53Nameserver(str(ip_address(host.strip("[]"))), int(port))]
        return resolver
