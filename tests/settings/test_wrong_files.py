"""Each file in `wrong/` is named after its fault; beside it stands what `tenantgate check` says about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings.fault import Faults
from gateway.settings.load import load

WRONG = Path(__file__).parent / "wrong"
FILES = sorted(path.name for path in WRONG.glob("*.yaml"))


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_file_is_told_exactly(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(WRONG)
    with pytest.raises(Faults) as caught:
        load(Path(name), {"ADMIN_KEY": "only-for-tests-only-for-tests-only"})
    assert str(caught.value) + "\n" == Path(name).with_suffix(".txt").read_text("utf-8")


def test_there_is_a_file_for_every_message() -> None:
    assert {path.stem for path in WRONG.glob("*.txt")} == {Path(name).stem for name in FILES}
    assert len(FILES) >= 20


@pytest.mark.parametrize("name", FILES)
def test_no_message_holds_a_secret(name: str) -> None:
    said = (WRONG / name).with_suffix(".txt").read_text("utf-8")
    assert "swordfish" not in said
    assert "only-for-tests" not in said
