"""A table of text, and what else the machine was doing."""

from __future__ import annotations

import os
from collections.abc import Sequence


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints it. A column is as wide as its widest cell, the last as it comes."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head) - 1)]
    print(f"\n{title}")
    for line in lines:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=False)]
        print("  " + "  ".join([*cells, line[-1]]), flush=True)


def load() -> str:
    """Of the machine, over the last minute and five."""
    one, five, _ = os.getloadavg()
    return f"load {one:.1f} {five:.1f} on {os.cpu_count()} processors"
