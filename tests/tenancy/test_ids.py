from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tenancy.ids import new_id, parse_id, typeid

# The valid examples of the TypeID specification.
SPECIFIED = [
    (UUID("00000000-0000-0000-0000-000000000000"), "00000000000000000000000000"),
    (UUID("00000000-0000-0000-0000-000000000001"), "00000000000000000000000001"),
    (UUID("00000000-0000-0000-0000-00000000000a"), "0000000000000000000000000a"),
    (UUID("00000000-0000-0000-0000-000000000010"), "0000000000000000000000000g"),
    (UUID("00000000-0000-0000-0000-000000000020"), "00000000000000000000000010"),
    (UUID("ffffffff-ffff-ffff-ffff-ffffffffffff"), "7zzzzzzzzzzzzzzzzzzzzzzzzz"),
    (UUID("0110c853-1d09-52d8-d73e-1194e95b5f19"), "0123456789abcdefghjkmnpqrs"),
    (UUID("01890a5d-ac96-774b-bcce-b302099a8057"), "01h455vb4pex5vsknk084sn02q"),
]


@pytest.mark.parametrize(("value", "suffix"), SPECIFIED)
def test_the_specifications_examples_are_written_and_read(value, suffix):
    assert typeid("tnt", value) == f"tnt_{suffix}"
    assert parse_id("tnt", f"tnt_{suffix}") == value


@given(st.uuids())
def test_both_forms_of_any_id_lead_back_to_it(value):
    assert parse_id("tnt", typeid("tnt", value)) == value
    assert parse_id("tnt", str(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tnt_",
        "tnt",
        "acme",
        "key_01h455vb4pex5vsknk084sn02q",
        "tnt_8zzzzzzzzzzzzzzzzzzzzzzzzz",
        "tnt_01h455vb4pex5vsknk084sn02",
        "tnt_01h455vb4pex5vsknk084sn02qq",
        "tnt_01H455VB4PEX5VSKNK084SN02Q",
        "TNT_01h455vb4pex5vsknk084sn02q",
        "tnt_01h455vb4pex5vsknk084sn02i",
        "tnt_01h455vb4pex5vsknk084sn02l",
        "tnt_01h455vb4pex5vsknk084sn0-q",
        "tnt_01890a5d-ac96-774b-bcce-b302099a8057",
        "01h455vb4pex5vsknk084sn02q",
        "01890A5D-AC96-774B-BCCE-B302099A8057",
        "01890a5dac96774bbcceb302099a8057",
        "{01890a5d-ac96-774b-bcce-b302099a8057}",
        "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057",
        " 01890a5d-ac96-774b-bcce-b302099a8057",
        "01890a5d-ac96-774b-bcce-b302099a8057\n",
        "٠1890a5d-ac96-774b-bcce-b302099a8057",
    ],
)
def test_any_other_spelling_is_no_id(text):
    assert parse_id("tnt", text) is None


def test_a_new_id_is_a_uuid_of_version_7_that_sorts_by_its_time():
    ids = [new_id() for _ in range(1000)]
    assert {value.version for value in ids} == {7}
    assert len(set(ids)) == 1000
    assert ids == sorted(ids)
    assert [typeid("tnt", value) for value in ids] == sorted(typeid("tnt", value) for value in ids)
