"""What was seen, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass

from .cost import Used
from .load import Tally
from .request import Request


@dataclass(frozen=True)
class Report:
    """`used`: what the gateway has used meanwhile."""

    request: Request
    connections: int
    tally: Tally
    used: Used

    @property
    def answers(self) -> int:
        return self.tally.answers.total()

    def text(self) -> str:
        tally, answers = self.tally, self.answers
        rows = [("connections", f"{self.connections:,}"), ("seconds", f"{tally.seconds:.1f}"), ("answers", f"{answers:,}")]
        if answers:
            rows += [
                ("a second", f"{answers / tally.seconds:,.0f}"),
                ("p50", f"{tally.quantile(0.5) * 1000:.2f} ms"),
                ("p99", f"{tally.quantile(0.99) * 1000:.2f} ms"),
            ]
        if (processor := self._each(self.used.processor)) is not None:
            rows.append(("processor time of the gateway", f"{processor * 1e6:,.0f} µs for each answer"))
        if (calls := self._each(self.used.store_calls)) is not None:
            rows.append(("calls of the store", f"{calls:.4f} for each answer"))
        rows += [(f"answered {status} {code}".strip(), f"{count:,}") for (status, code), count in sorted(tally.answers.items())]
        rows += [(f"no answer: {reason}", f"{count:,}") for reason, count in sorted(tally.broken.items())]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name.ljust(width)}  {value}" for name, value in rows)

    def json(self) -> str:
        """Times in seconds; null where it is not known."""
        tally, answers = self.tally, self.answers
        statuses, codes = dict[str, int](), dict[str, int]()
        for (status, code), count in sorted(tally.answers.items()):
            statuses[str(status)] = statuses.get(str(status), 0) + count
            if code:
                codes[code] = codes.get(code, 0) + count
        told = {
            "url": self.request.url,
            "method": self.request.method,
            "connections": self.connections,
            "seconds": tally.seconds,
            "answers": answers,
            "answers_per_second": answers / tally.seconds,
            "p50": tally.quantile(0.5) if answers else None,
            "p99": tally.quantile(0.99) if answers else None,
            "processor_per_answer": self._each(self.used.processor),
            "store_calls_per_answer": self._each(self.used.store_calls),
            "statuses": statuses,
            "codes": codes,
            "broken": dict(tally.broken),
        }
        return json.dumps(told, indent=2)

    def _each(self, total: float | None) -> float | None:
        return None if total is None or not self.answers else total / self.answers
