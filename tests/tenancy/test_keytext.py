from __future__ import annotations

import re
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tenancy.credential import Environment
from gateway.tenancy.keytext import (
    digest_of,
    is_api_key,
    is_widget_key,
    new_api_key,
    new_signing_secret,
    new_widget_key,
)

# Made once and written down: the form, the alphabet and the checksum are part of the contract with whoever checks keys offline.
KEY = "tg_live_0123456789ABCDEFGHIJKLMNOPQRSTUVW"


@pytest.mark.parametrize("environment", ["live", "test"])
@pytest.mark.parametrize("prefix", ["tg", "a", "acme2"])
def test_a_new_key_has_the_published_form(prefix: str, environment: Environment) -> None:
    key = new_api_key(prefix, environment)
    assert re.fullmatch(rf"{prefix}_{environment}_[0-9A-Za-z]{{39}}", key)
    assert is_api_key(prefix, key)


def test_the_checksum_is_the_crc_32_of_what_stands_before_it_in_base62() -> None:
    # The CRC-32 is 0x4fa6caf0.
    assert not is_api_key("tg", KEY + "000000")
    assert is_api_key("tg", KEY + "1SR6jg")


def test_no_two_keys_are_alike() -> None:
    assert len({new_api_key("tg", "live") for _ in range(1000)}) == 1000


@pytest.mark.parametrize("text", ["", "tg", "tg_live_", "tg_prod_" + "0" * 39, "TG_live_" + "0" * 39, KEY, "x" * 1_000_000])
def test_what_is_no_key_is_told(text: str) -> None:
    assert not is_api_key("tg", text)


def test_a_key_has_the_prefix_of_this_gateway() -> None:
    key = new_api_key("tg", "live")
    assert not is_api_key("t", key)
    assert not is_api_key("tgx", key)
    assert not is_api_key("", key)


@given(st.data())
def test_a_single_wrong_letter_is_told(data: st.DataObject) -> None:
    key = new_api_key("tg", "live")
    place = data.draw(st.integers(0, len(key) - 1))
    letter = data.draw(st.characters(max_codepoint=255).filter(lambda one: one != key[place]))
    assert not is_api_key("tg", key[:place] + letter + key[place + 1 :])


@given(st.data())
def test_two_swapped_letters_are_told(data: st.DataObject) -> None:
    key = new_api_key("tg", "live")
    place = data.draw(st.integers(8, len(key) - 2))
    swapped = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
    assert swapped == key or not is_api_key("tg", swapped)


def test_a_key_is_stored_as_its_sha_256() -> None:
    assert digest_of(KEY) == sha256(KEY.encode()).hexdigest()


def test_a_signing_secret_holds_256_random_bits() -> None:
    assert re.fullmatch(r"sk_[0-9A-Za-z]{43}", new_signing_secret())
    assert len({new_signing_secret() for _ in range(1000)}) == 1000


def test_a_widget_key_is_told_by_its_form() -> None:
    key = new_widget_key()
    assert is_widget_key(key)
    for other in ("", "pk_", key[:-1], key + "0", key.replace("pk_", "sk_"), key[:-1] + "\xe9", key + "\n"):
        assert not is_widget_key(other)
