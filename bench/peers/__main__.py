"""`bench/run [TABLE…] [--quick] [--json F]`: tenantgate beside other proxies, in one run. See docs/benchmark.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from .neighbour import Disturbed, disturb
from .peers import BY_NAME, DIRECT, TENANTGATE, Peer
from .report import Result
from .rounds import Measured, measure
from .served import DidNotStart
from .stack import Missing, running
from .tables import MAIN, MANY, MANY_TENANTS, TABLES, TENANTS, Table

_NEIGHBOUR = "neighbour"
_ROUNDS, _SECONDS = 7, 3.0
_QUICK_ROUNDS, _QUICK_SECONDS = 3, 2.0
_TO = Path(".tenantgate/benchmark")


def main() -> int:
    """What the command line names. 1: there is no figure of tenantgate itself."""
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    names = [*(table.name for table in TABLES), _NEIGHBOUR]
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"which to measure: {', '.join(names)}; default: all")
    parser.add_argument("--quick", action="store_true", help="the main table only, in three short rounds")
    parser.add_argument("--json", type=Path, metavar="F", help="write the ratios, and every sample, to F")
    arguments = parser.parse_args()
    if unknown := set(arguments.tables) - set(names):
        parser.error(f"no such table: {', '.join(sorted(unknown))}")
    # So that everything that was started is stopped as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    rounds, seconds = (_QUICK_ROUNDS, _QUICK_SECONDS) if arguments.quick else (_ROUNDS, _SECONDS)
    wanted = arguments.tables or ([MAIN.name] if arguments.quick else names)
    try:
        result = run(wanted, rounds, seconds)
    except (Missing, DidNotStart) as fault:
        print(f"No figures: {fault}", file=sys.stderr)
        return 1
    _write(result, arguments.json)
    return 1 if any(TENANTGATE.name in measured.failed for measured in result.tables.values()) else 0


def run(wanted: Sequence[str], rounds: int, seconds: float) -> Result:
    """Measure the tables of these names. Raises Missing, DidNotStart."""
    tables = [table for table in TABLES if table.name in wanted]
    with running(_peers(tables), MANY_TENANTS if MANY in tables else TENANTS) as stack:
        measured = dict[str, Measured]()
        for table in tables:
            measured[table.name] = measure(stack, table, rounds, seconds, _tell)
        disturbed = disturb(stack, rounds, seconds, _tell) if _NEIGHBOUR in wanted else Disturbed()
        return Result(_machine(), measured, disturbed, stack.skipped)


def _peers(tables: Sequence[Table]) -> list[Peer]:
    named = {row.peer for table in tables for row in table.rows} - {DIRECT}
    return [peer for name, peer in BY_NAME.items() if name in named or peer is TENANTGATE]


def _machine() -> str:
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return f"Python {platform.python_version()}, {os.cpu_count()} processors, load {load} at the end."


def _write(result: Result, to: Path | None) -> None:
    _TO.mkdir(parents=True, exist_ok=True)
    page = result.page()
    print(page)
    (_TO / "results.md").write_text(page)
    if plot := result.plot():
        (_TO / "benchmark.svg").write_text(plot.svg())
    if to is not None:
        to.write_text(json.dumps(result.json(), indent=1) + "\n")
    print(f"Also in {_TO}", file=sys.stderr)


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
