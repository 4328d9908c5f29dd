"""Who owns a credential: a tenant, by its id, or an organization, by its name. How that is written in the store's maps."""

from __future__ import annotations

from uuid import UUID

Owner = UUID | str


def write_owner(owner: Owner) -> str:
    return str(owner) if isinstance(owner, UUID) else f"org:{owner}"


def read_owner(text: bytes) -> Owner:
    name = text.decode()
    return name.removeprefix("org:") if name.startswith("org:") else UUID(name)
