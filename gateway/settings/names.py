"""What a file declares, right or wrong: a name is known also where what it stands for is at fault."""

from __future__ import annotations

from .document import Document
from .fault import KeyPath
from .values import BUILTIN_METRICS


def declared(document: Document, *section: str) -> list[str]:
    """The keys of the mapping at `section`, in their order."""
    path: KeyPath = section
    here = document.at(path)
    return [str(name) for name in here] if isinstance(here, dict) else []


def issuer_names(document: Document) -> list[str]:
    return declared(document, "identity", "issuers")


def metric_names(document: Document) -> list[str]:
    return [*BUILTIN_METRICS, *declared(document, "metrics")]


def resource_names(document: Document) -> list[str]:
    """Resources that some plan bounds, each once."""
    plans = declared(document, "plans")
    return list(dict.fromkeys(name for plan in plans for name in declared(document, "plans", plan, "resources")))
