"""Slugs and the PostgreSQL schema names that come from them."""

from __future__ import annotations

import re

from slugify import slugify

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?")
"""1 to 48 of lower-case letters, digits and inner hyphens: it fits a DNS label and a PostgreSQL identifier."""

# Schemas that PostgreSQL itself owns, or that hold the shared tables, must never become a tenant's.
_RESERVED = frozenset({"public", "information-schema"})


def is_slug(text: str) -> bool:
    return SLUG.fullmatch(text) is not None and text not in _RESERVED and not text.startswith("pg-")


def slug_from(name: str) -> str:
    """The slug of a free-form name; empty where nothing usable is left (the caller decides what then)."""
    slug = slugify(name, max_length=48).strip("-")
    return slug if is_slug(slug) else ""


def schema_from(slug: str) -> str:
    """The schema of a new tenant, of `[a-z0-9_]`: two slugs never share one, since a slug has no underscore."""
    if not is_slug(slug):
        raise ValueError(f"not a slug: {slug!r}")
    return slug.replace("-", "_")
