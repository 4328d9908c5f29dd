"""Environment variables that stand over keys of the file: `TENANTGATE__LISTENERS__PUBLIC__PORT=8081`."""

from __future__ import annotations

from collections.abc import Mapping

from .document import Document
from .fault import Fault, Faults, KeyPath, Place
from .reader import read

PREFIX = "TENANTGATE__"


def override(document: Document, environ: Mapping[str, str]) -> None:
    """Set what the environment says, shorter names first, so that a list can be given whole and then changed in parts."""
    if not isinstance(document.data, dict):
        return
    for variable in sorted((name for name in environ if name.upper().startswith(PREFIX)), key=lambda name: (len(name), name)):
        _set(document, variable, environ[variable])


def _set(document: Document, variable: str, text: str) -> None:
    parts = variable[len(PREFIX) :].split("__")
    if not all(parts):
        _refuse(document, variable, "an empty part between two __", "PREFIX__KEY__KEY")
        return
    path: KeyPath = ()
    for part in parts:
        parent = document.at(path)
        if parent is None or parent == part.lower():
            # Nothing stands there yet, or a policy by its bare name.
            parent = {} if parent is None else {part.lower(): {}}
            _put(document, variable, path, parent)
        key = _key(parent, part)
        if key is None:
            _refuse(document, variable, f"{part.lower()} below {_name(path)}", "a key, or the index of an entry that is there")
            return
        path = (*path, key)
    value = _value(variable, text, path)
    _put(document, variable, path, value.data)
    document.faults.extend(value.faults)
    document.broken |= value.broken
    for known, new in ((document.places, value.places), (document.keys, value.keys)):
        known.update({inner: place for inner, place in new.items() if inner != path})
    document.origins[path] = variable


def _key(parent: object, part: str) -> str | int | None:
    """The key of `parent` that `part` names: one that is there, in any case and with - for _, or a new one."""
    if isinstance(parent, dict):
        wanted = part.lower()
        return next((key for key in parent if key.lower().replace("-", "_") == wanted.replace("-", "_")), wanted)
    if isinstance(parent, list) and part.isascii() and part.isdigit() and int(part) <= len(parent):
        return int(part)
    return None


def _put(document: Document, variable: str, path: KeyPath, value: object) -> None:
    for known in (document.places, document.keys, document.origins):
        for old in [old for old in known if old[: len(path)] == path]:
            del known[old]
    document.places[path] = document.keys[path] = Place(variable)
    parent, key = document.at(path[:-1]), path[-1]
    if isinstance(parent, list) and isinstance(key, int):
        parent[key : key + 1] = [value]
    elif isinstance(parent, dict):
        parent[key] = value


def _value(variable: str, text: str, path: KeyPath) -> Document:
    """Lists and mappings are written as in YAML's flow style (JSON is that, too), null is null, all else is text to be read
    as the key demands."""
    if text.startswith(("[", "{")):
        try:
            return read(text, variable, path, variable)
        except Faults:
            pass  # It is text that looks like a list, or the key demands a list and will say so.
    return Document(None if text == "null" else text, Place(variable))


def _refuse(document: Document, variable: str, found: str, expected: str) -> None:
    document.faults.append(Fault(Place(variable), found, expected))


def _name(path: KeyPath) -> str:
    return ".".join(map(str, path)) or "top level"
