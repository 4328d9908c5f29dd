"""The tables: shared ones in `public`, the tenants' own in a schema each."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel

from .passwords import hashed
from .tenancy import enter

# Every instance of the service does this when it starts; the lock lets them do it one after the other.
_LOCK = 7_020_001
_SHARED = """
CREATE TABLE IF NOT EXISTS public.companies (
    slug   text PRIMARY KEY,
    schema text NOT NULL UNIQUE,
    name   text NOT NULL
)"""
_OWN = """
CREATE TABLE IF NOT EXISTS users (
    id            serial PRIMARY KEY,
    name          text NOT NULL,
    email         text NOT NULL UNIQUE,
    role          text NOT NULL,
    password_hash text NOT NULL
)"""


class SeedUser(BaseModel):
    name: str
    email: str
    password: str
    role: str = "staff"


class Company(BaseModel):
    """A tenant that is there from the start. `schema_name` is the schema that the gateway holds for it."""

    slug: str
    schema_name: str
    name: str
    users: tuple[SeedUser, ...] = ()


async def prepare(pool: AsyncConnectionPool, companies: Sequence[Company]) -> None:
    """Make what is missing; what is there stays."""
    async with pool.connection() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        await connection.execute(_SHARED)
        for company in companies:
            await _add_company(connection, company)


async def _add_company(connection: AsyncConnection, company: Company) -> None:
    await connection.execute(
        "INSERT INTO public.companies (slug, schema, name) VALUES (%s, %s, %s) ON CONFLICT (slug) DO NOTHING",
        (company.slug, company.schema_name, company.name),
    )
    await connection.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(company.schema_name)))
    await enter(connection, company.schema_name)
    await connection.execute(_OWN)
    for user in company.users:
        password_hash = await hashed(user.password)
        known = await connection.execute("UPDATE users SET password_hash = %s WHERE email = %s", (password_hash, user.email))
        if known.rowcount == 0:
            await connection.execute(
                "INSERT INTO users (name, email, role, password_hash) VALUES (%s, %s, %s, %s)",
                (user.name, user.email, user.role, password_hash),
            )
