"""What an answer shows, as the JSON document that it becomes."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

Shown = BaseModel | Mapping[str, object]


def document_of(shown: Shown) -> Mapping[str, object]:
    if not isinstance(shown, BaseModel):
        return shown
    document: dict[str, object] = shown.model_dump(mode="json")
    return document
