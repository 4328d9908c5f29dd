"""What a right file becomes, and how strictly any file is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.settings.fault import Faults
from gateway.settings.load import load
from gateway.settings.reader import read

from .conftest import VALID, Load, Refused


def test_a_right_file_is_loaded(loaded: Load) -> None:
    got = loaded()
    assert got.listeners.public.port == 8080
    assert got.listeners.admin.host == "127.0.0.1"
    assert got.plans["free"].quotas == {"requests": 1000, "emails": None}
    assert [entry.name for entry in got.routes[0].policies][:2] == ["jwt_bearer", "tenant_match"]
    assert got.routes[0].policies[4].config == {"metric": "requests"}


def test_units_become_seconds_and_bytes(loaded: Load) -> None:
    text = VALID.replace("    upstream: app\n", "    upstream: app\n    max_body: 64KiB\n")
    got = loaded(text + "listeners: {public: {drain: 1.5m}}\nstore: {deadline: 250ms}\n")
    assert got.routes[0].max_body == 65536
    assert got.listeners.public.drain == 90
    assert got.store.deadline == 0.25


def test_defaults_are_values_that_the_file_could_hold(loaded: Load) -> None:
    got = loaded()
    assert got.listeners.public.drain == 25.0
    assert got.routes[0].max_body == 10 << 20
    assert got.upstreams["app"].timeouts.connect == 2.0


def test_aliases_stand_for_what_they_name(loaded: Load) -> None:
    text = VALID.replace("policies: [public]", "policies: &open [public]") + (
        "  - {name: more, path: /more, builtin: jwks, policies: *open}\n"
    )
    assert loaded(text).routes[2].policies[0].name == "public"


def test_a_policy_of_somebody_else_is_found_by_its_dotted_path(loaded: Load) -> None:
    text = VALID.replace("      - rate_limit\n", "      - acme.hours.BusinessHours: {opens: 8}\n      - rate_limit\n")
    assert loaded(text).routes[0].policies[3].name == "acme.hours.BusinessHours"


def test_limits_may_stand_several_times_with_different_keys(loaded: Load, refused: Refused) -> None:
    twice = "      - quota: {metric: requests}\n"
    loaded(VALID.replace(twice, twice + "      - quota: {metric: emails}\n"))
    assert "found quota again" in refused(VALID.replace(twice, twice * 2))


def test_a_builtin_needs_no_headers_for_an_upstream(loaded: Load) -> None:
    policies = "[{jwt_bearer: {issuers: [main]}}, tenant_match, tenant_status]"
    loaded(VALID + f"  - {{name: bill, path: /billing, builtin: billing_plan, policies: {policies}}}\n")


def test_both_ports_may_be_left_to_the_system(loaded: Load) -> None:
    loaded(VALID + "listeners: {public: {port: 0}, admin: {port: 0}}\n")


def test_reprs_of_settings_hold_no_secrets(loaded: Load) -> None:
    text = VALID + "store: {url: 'redis://:swordfish@store:6379'}\n"
    assert "swordfish" not in repr(loaded(text))
    assert "only-for-tests" not in repr(loaded(text))


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        load(tmp_path / "nowhere.yaml", {})


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"version: 1\nplans: \xff\n", "gateway.yaml:2:8: found a byte that is not UTF-8"),
        (b"version: 1\nplans: \x01\n", "gateway.yaml:2:8: found a control character"),
        (b"#" * (1 << 20) + b"\n", "found more than 1 MiB"),
        (b"", "gateway.yaml:1:1: found nothing"),
        (b"a: " + b"[" * 5000, "found more than 32 levels"),
        (b"a: " + b"{a: " * 5000, "found more than 32 levels"),
    ],
)
def test_what_cannot_be_text_is_refused(raw: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gateway.yaml").write_bytes(raw)
    with pytest.raises(Faults) as caught:
        load(Path("gateway.yaml"), {})
    assert said in str(caught.value)


def test_an_alias_bomb_is_refused_before_it_grows(refused: Refused) -> None:
    lines = ["version: 1", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "found more than 100000 values" in refused("\n".join(lines))


@pytest.mark.parametrize(
    "text", ["no", "Yes", "ON", "off", "010", "0x1f", "0b1", "1_000", "1:30", "2026-04-01", ".inf", "+.5", "1e3", "0o17", "09"]
)
def test_what_readers_of_yaml_differ_about_is_refused_unless_quoted(text: str, refused: Refused, loaded: Load) -> None:
    audience = VALID.replace("      algorithms: [HS256]\n", "      algorithms: [HS256]\n      audience: {}\n")
    assert f"found {text}, expected" in refused(audience.replace("{}", text, 1))
    assert loaded(audience.replace("{}", f'"{text}"', 1)).identity.issuers["main"].audience == text


def _is_read_alike(text: str) -> bool:
    """PyYAML writes 0E0 without quotes, since YAML 1.1 takes it for text; YAML 1.2 takes it for a number, so we refuse it."""
    return re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+", text) is None


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])).filter(_is_read_alike),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdefgh", min_size=1), inner, max_size=4),
    max_leaves=12,
)


@given(data=_json.filter(lambda data: data is not None))
def test_data_survives_being_written_as_yaml_and_read(data: Any) -> None:
    document = read(yaml.safe_dump(data, allow_unicode=True), "test.yaml")
    assert document.faults == []
    assert document.data == data


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(raw=st.binary(max_size=200) | st.text("abc:-[]{}&*!|>'\"#%@`?,0123 \n\t", max_size=120).map(str.encode))
def test_any_bytes_are_loaded_or_told(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_bytes(raw)
    with pytest.raises(Faults) as caught:
        load(path, {})
    assert all(fault.found and fault.expected for fault in caught.value.faults)


def test_faults_come_in_the_order_of_the_file(refused: Refused) -> None:
    said = refused(VALID.replace("version: 1", "version: 3").replace("/api/*", "api").replace("100/second", "fast"))
    assert [int(line.split(":")[1]) for line in said.splitlines()] == [1, 15, 22]


def test_a_fault_carries_no_trace_of_the_data(loaded: Load) -> None:
    """A traceback prints what an exception was raised from."""
    with pytest.raises(Faults) as caught:
        loaded(VALID.replace("[HS256]", "[HS265]"))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
