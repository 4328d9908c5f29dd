"""What a list of tenants is searched for, and the words that a tenant is found by."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from .tenant import Status, Tenant

LONGEST_WORD = 64
_MOST_WORDS = 12


def folded(text: str) -> str:
    """Without differences of case and of compatible forms."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def words_of(tenant: Tenant) -> frozenset[str]:
    """Slug, reference and name, and what the name consists of, folded. Of a long one the beginning counts."""
    name = folded(tenant.name)
    whole = [tenant.slug, folded(tenant.external_ref or ""), name, *re.findall(r"\w+", name)[:_MOST_WORDS]]
    return frozenset(word[:LONGEST_WORD] for word in whole if word)


def entries_of(tenant: Tenant) -> frozenset[str]:
    """What the tenant stands under in an index: its words, and its status, unless that is the usual one."""
    return words_of(tenant) if tenant.status is Status.ACTIVE else words_of(tenant) | {_entry(tenant.status)}


def _entry(status: Status) -> str:
    # No name holds a control character.
    return f"\x1f{status}"


@dataclass(frozen=True, slots=True)
class Search:
    """`words`: what a word of the tenant begins with. None: any will do."""

    status: Status | None = None
    external_ref: str | None = None
    words: str | None = None

    @property
    def is_open(self) -> bool:
        return self == Search()

    @property
    def beginnings(self) -> tuple[str, ...]:
        """What an entry of every tenant that is meant begins with: any of these will do."""
        words = () if self.words is None else (folded(self.words),)
        return words if self.status in (None, Status.ACTIVE) else (*words, _entry(self.status))

    def finds(self, tenant: Tenant) -> bool:
        if self.status not in (None, tenant.status) or self.external_ref not in (None, tenant.external_ref):
            return False
        return self.words is None or any(word.startswith(folded(self.words)) for word in words_of(tenant))
