"""A small DNS server on loopback, over UDP and TCP, that knows the TXT records it is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from dns.rdatatype import CNAME, TXT


@dataclass
class Zone:
    """`texts` and `aliases` by name, without the last dot. `asked`: each question's name, and whether it came over TCP."""

    port: int = 0
    texts: dict[str, list[str]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    failing: bool = False
    only_tcp: bool = False
    asked: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, wire: bytes, tcp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        name = query.question[0].name.to_text(omit_final_dot=True)
        self.asked.append((name, tcp))
        if self.silent:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        if self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif self.only_tcp and not tcp:
            response.flags |= dns.flags.TC
        else:
            self._fill(response, name)
        return response.to_wire()

    def _fill(self, response: dns.message.Message, name: str) -> None:
        while name in self.aliases:
            response.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", CNAME, f"{self.aliases[name]}."))
            name = self.aliases[name]
        if name in self.texts:
            quoted = [" ".join(f'"{text[i : i + 255]}"' for i in range(0, len(text), 255)) for text in self.texts[name]]
            response.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", TXT, *quoted))
        elif not response.answer:
            response.set_rcode(dns.rcode.NXDOMAIN)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, zone: Zone) -> None:
        self._zone = zone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # No common base class before Python 3.12.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._zone.answer(data, tcp=False)
        if answer is not None:
            self._transport.sendto(answer, addr)


@asynccontextmanager
async def served() -> AsyncIterator[Zone]:
    zone = Zone()

    async def over_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2), "big")
        answer = zone.answer(await reader.readexactly(length), tcp=True)
        if answer is not None:
            writer.write(len(answer).to_bytes(2, "big") + answer)
        writer.close()

    server = await asyncio.start_server(over_tcp, "127.0.0.1", 0)
    zone.port = server.sockets[0].getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Udp(zone), local_addr=("127.0.0.1", zone.port)
    )
    try:
        yield zone
    finally:
        transport.close()
        server.close()
        await server.wait_closed()
