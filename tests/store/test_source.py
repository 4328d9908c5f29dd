"""How a store is told from others, by what is kept outside of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings.schema import StoreSettings
from gateway.store.connect import source_of


def source(url: str, prefix: str = "tg", **fields: object) -> str:
    return source_of(StoreSettings.model_validate({"url": url, "prefix": prefix, **fields}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (source("redis://a:6379/0"), source("redis://b:6379/0")),
        (source("redis://a:6379/0"), source("redis://a:6380/0")),
        (source("redis://a:6379/0"), source("redis://a:6379/1")),
        (source("redis://a:6379/0"), source("redis://a:6379/0", "other")),
        (source("unix:///run/a"), source("unix:///run/b")),
        (source("embedded", data_dir=Path("/a")), source("embedded", data_dir=Path("/b"))),
    ],
)
def test_two_stores_are_told_apart(one: str, other: str) -> None:
    assert one != other


def test_a_new_password_makes_no_new_store_and_is_not_told() -> None:
    assert source("redis://user:secret@a:6379/0") == source("redis://a/0")
    assert "secret" not in source("redis://user:secret@a:6379/0")
