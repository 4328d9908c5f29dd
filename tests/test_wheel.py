"""What a user installs: the packages with the data that they read, and nothing else at the top level."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]


def test_the_wheel_carries_its_data_and_installs_no_package_called_config(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    names = ZipFile(wheel).namelist()
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"gateway", "policies"}
    scripts = {str(path.relative_to(ROOT)) for path in ROOT.glob("gateway/**/*.lua")}
    carried = {"gateway/data/gateway.yaml", "gateway/data/config/gateway.schema.json", "gateway/data/examples/clinic/app.py"}
    assert scripts
    assert (scripts | carried | {"gateway/py.typed"}) <= set(names)
    assert not [name for name in names if "__pycache__" in name]
