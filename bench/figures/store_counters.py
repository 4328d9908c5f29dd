"""The store's own counters, and what they say about its callers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gateway.store.client import Client

# Commands of Lua scripts are counted like those of callers, so which of them were calls can't be told; but scripts run none.
_SCRIPTS = ("eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro")


@dataclass(frozen=True)
class Counters:
    """`scripts` that ran; `reads`: batches of calls as they arrived, those written together being one; `commands`: every
    command, those of scripts too; `seconds` of processor time; `bytes`: memory in use."""

    scripts: int
    reads: int
    commands: int
    seconds: float
    bytes: int

    @classmethod
    async def of(cls, client: Client) -> Self:
        """As they stand now. The asking itself is one read and one command of every later count."""
        reply = await client.command("INFO", "everything")
        assert isinstance(reply, bytes)
        told = dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)
        return cls(
            scripts=sum(_calls(told.get(f"cmdstat_{name}", "")) for name in _SCRIPTS),
            reads=int(told["total_reads_processed"]),
            commands=int(told["total_commands_processed"]),
            seconds=float(told["used_cpu_user"]) + float(told["used_cpu_sys"]),
            bytes=int(told["used_memory"]),
        )

    def since(self, before: Counters) -> Counters:
        """What others have done since then: the asking between both is not counted."""
        return Counters(
            self.scripts - before.scripts,
            self.reads - before.reads - 1,
            self.commands - before.commands - 1,
            self.seconds - before.seconds,
            self.bytes - before.bytes,
        )


def _calls(statistics: str) -> int:
    return int(statistics.partition("calls=")[2].partition(",")[0] or 0)
