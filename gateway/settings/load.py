"""gateway.yaml to Settings: read, overridden, interpolated, validated, checked; or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from .checks import check
from .explain import explain
from .fault import Faults
from .interpolate import interpolate
from .override import override
from .reader import MAX_BYTES, decode, read
from .schema import Settings


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """Raises Faults with all that is wrong, and OSError where the file can't be read."""
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    document = read(decode(raw, str(path)), str(path))
    override(document, environ)
    interpolate(document, environ)
    settings = None
    try:
        settings = Settings.model_validate(document.data)
    except ValidationError as error:
        explain(document, error)
    check(document)
    if settings is None or document.faults:
        raise Faults(document.faults)
    return settings
