"""Passwords, by Argon2id with the parameters of RFC 9106. Hashing is slow on purpose, so it runs beside the event loop."""

from __future__ import annotations

import asyncio
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

_hasher = PasswordHasher()


async def hashed(password: str) -> str:
    return await asyncio.to_thread(_hasher.hash, password)


async def matches(password: str, password_hash: str | None) -> bool:
    """Takes as long where there is no hash, so that the time of an answer does not tell who has an account."""
    return await asyncio.to_thread(_verify, password, password_hash)


def _verify(password: str, password_hash: str | None) -> bool:
    try:
        return _hasher.verify(password_hash or _nobodys(), password) and password_hash is not None
    except VerificationError:
        return False


@cache
def _nobodys() -> str:
    return _hasher.hash(secrets.token_urlsafe())
