"""The page about errors holds every code, as it is. After a change: REWRITE_DOCS=1 pytest tests/docs/test_errors.py"""

from __future__ import annotations

import os
import re
from pathlib import Path

from gateway.errors import CATALOGUE

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
START, END = "<!-- generated: errors -->\n", "<!-- end -->"


def table() -> str:
    rows = [f"| `{p.code}` | {p.status} | {p.owner} | {p.title} | {p.advice} |" for p in CATALOGUE.values()]
    return "\n".join(["", "| code | status | owner | meaning | what to do |", "|---|---|---|---|---|", *rows, "", ""])


def test_the_page_lists_every_code_as_it_is():
    page = PAGE.read_text()
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    expected = before + START + table() + END + after
    if os.environ.get("REWRITE_DOCS"):
        PAGE.write_text(expected)
    assert PAGE.read_text() == expected, __doc__


def test_a_title_and_an_advice_are_sentences_for_people():
    for problem in CATALOGUE.values():
        assert problem.title[0].isupper(), problem.code
        assert not problem.title.endswith("."), problem.code
        assert problem.advice.endswith("."), problem.code
        assert "|" not in problem.title + problem.advice, problem.code


def test_a_codes_status_fits_its_owner():
    for problem in CATALOGUE.values():
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*", problem.code)
        assert 400 <= problem.status < 600
        at_fault = "server" if problem.status >= 500 else "caller"
        assert at_fault == ("caller" if problem.owner in ("client", "tenant") else "server") or problem.status == 503, (
            problem.code
        )
