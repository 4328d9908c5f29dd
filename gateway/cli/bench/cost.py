"""What the gateway has used until now, as the system or its own metrics tell."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from gateway.settings.fault import Faults
from gateway.settings.load import load
from gateway.settings.schema import AdminListener

_PROC = Path("/proc")
_PROCESSOR, _STORE_CALLS = "process_cpu_seconds_total", "tenantgate_store_call_duration_seconds_count"
_ANSWER_WITHIN = 10.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class CostUnknown(Exception):
    """It can't be told; the text says why, and what to do."""


@dataclass(frozen=True)
class Used:
    """`processor`: seconds of it. None: nobody was asked who knows."""

    processor: float | None = None
    store_calls: float | None = None

    def since(self, before: Used) -> Used:
        return Used(_less(self.processor, before.processor), _less(self.store_calls, before.store_calls))


Costs = Callable[[], Awaitable[Used]]
"""Raises CostUnknown."""


def costs(config: Path | None, pid: int | None) -> Costs:
    """From the metrics on the admin listener of `config`, and from the process `pid`, which goes first. Raises CostUnknown."""
    admin = None if config is None else _admin_url(config)

    async def used() -> Used:
        told = Used() if admin is None else await _told_by_metrics(admin)
        return told if pid is None else Used(processor_seconds(pid), told.store_calls)

    return used


def processor_seconds(pid: int) -> float:
    """Of a process and of those that it has started itself, as workers. Raises CostUnknown."""
    if not _PROC.joinpath("self", "stat").exists():
        raise CostUnknown("Processor time of a process can only be read on Linux; name the configuration by -c instead.")
    ticks = os.sysconf("SC_CLK_TCK")
    try:
        seconds = _ticks(_fields(pid)) / ticks
    except OSError:
        raise CostUnknown(f"There is no process {pid} here.") from None
    for entry in _PROC.glob("[0-9]*"):
        try:
            fields = _fields(int(entry.name))
        except OSError:
            continue  # It has ended meanwhile.
        if int(fields[1]) == pid:
            seconds += _ticks(fields) / ticks
    return seconds


def _ticks(fields: list[str]) -> int:
    """In user mode and in the kernel."""
    return int(fields[11]) + int(fields[12])


def _fields(pid: int) -> list[str]:
    """What stands in /proc/PID/stat after the command's name, which may hold anything."""
    return (_PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()


async def _told_by_metrics(admin: str) -> Used:
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_ANSWER_WITHIN) as client:
            answer = await client.get(f"{admin}/metrics", headers={"Accept": "text/plain"})
        answer.raise_for_status()
        samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    except (httpx.HTTPError, ValueError) as fault:
        raise CostUnknown(
            f"{admin}/metrics does not answer ({type(fault).__name__}): is this the configuration of the gateway that runs?"
        ) from None
    processor = [sample.value for sample in samples if sample.name == _PROCESSOR]
    calls = [sample.value for sample in samples if sample.name == _STORE_CALLS]
    return Used(sum(processor) if processor else None, sum(calls))


def _admin_url(config: Path) -> str:
    try:
        listener = load(config, os.environ).listeners.admin
    except OSError as error:
        raise CostUnknown(f"{config}: {error.strerror or error}") from None
    except Faults as faults:
        raise CostUnknown(str(faults)) from None
    return url_of(listener)


def url_of(listener: AdminListener) -> str:
    """Where it is reached from this machine. Raises CostUnknown."""
    if listener.port == 0:
        raise CostUnknown("listeners.admin.port is 0, so the configuration does not tell where the metrics are.")
    host = _ANYWHERE.get(str(listener.host), str(listener.host))
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.port}"


def _less(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before
