"""The story of a platform's customer, as the examples tell it, on a running gateway."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import World

PLATFORM = Path(__file__).parents[2] / "examples/platform"
SCOPES = frozenset(
    {"read:tenants", "write:tenants", "read:usage", "write:keys", "write:domains", "write:webhooks", "read:audit"}
)


@pytest.mark.parametrize("line", [["sh", "story.sh"], [sys.executable, "story.py"]], ids=["curl", "client"])
def test_the_story_ends_as_it_is_told(world: World, line: list[str]) -> None:
    if line[0] == "sh" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    root = Path(__file__).parents[2]
    keys = {"PLATFORM_KEY": world.mint("main", SCOPES), "BASE_URL": world.gateway.public_url, "PYTHONPATH": str(root)}
    done = subprocess.run(line, cwd=PLATFORM, env={**os.environ, **keys}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "It leaves" in done.stdout
