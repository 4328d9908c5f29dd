"""Routes: where they lead, and whether their policies keep the promise that nothing passes unknown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from gateway.pipeline.policy import Phase

from .document import Document
from .entries import Entry, build, entries
from .fault import KeyPath
from .names import declared
from .schema import RouteSettings

_PARAMETER = re.compile(r"\{[^}]*\}")


def check_routes(document: Document, routes: Mapping[KeyPath, RouteSettings]) -> None:
    """`routes` are those whose shape is right, by their paths."""
    _check_names(document, routes)
    _check_matches(document, routes)
    listed = document.at(("routes",))
    for index in range(len(listed) if isinstance(listed, list) else 0):
        path: KeyPath = ("routes", index)
        route = routes.get(path)
        found, complete = entries(document, (*path, "policies"))
        _check_order(document, found)
        if complete:
            _check_companions(document, found)
        built = [build(document, route.name if route else "", entry) for entry in found]
        _check_upstream(document, (*path, "upstream"))
        if route is not None:
            _check_path(document, path, route)
            _check_destination(document, path, route)
            if complete and all(built):
                _check_presence(document, path, route, found)


def _check_names(document: Document, routes: Mapping[KeyPath, RouteSettings]) -> None:
    first: dict[str, KeyPath] = {}
    for path, route in routes.items():
        other = first.setdefault(route.name, path)
        if other != path:
            at = (*path, "name")
            where = f"the other is in line {document.place((*other, 'name')).line}"
            document.refuse(at, f"another route named {document.show(at, route.name)}", f"a name of its own; {where}")


def _check_matches(document: Document, routes: Mapping[KeyPath, RouteSettings]) -> None:
    """Of two routes that match the same requests, one would never be taken."""
    seen: dict[tuple[str, str, str], tuple[KeyPath, str]] = {}
    for path, route in routes.items():
        pattern = _PARAMETER.sub("{}", route.path)
        keys = [(pattern, host, method) for host in route.hosts or ("",) for method in route.methods or ("",)]
        other = next((seen[key] for key in keys if key in seen), None)
        if other is not None:
            found = f"a route for the same requests as {other[1]}"
            document.refuse((*path, "path"), found, "another path, host or method")
        for key in keys:
            seen.setdefault(key, (path, route.name))


def _check_path(document: Document, path: KeyPath, route: RouteSettings) -> None:
    segments = route.path.split("/")
    parameters = _PARAMETER.findall(route.path)
    if "." in segments or ".." in segments:
        document.refuse((*path, "path"), "a dot segment", "a path without . and .., which no request may have")
    if len(set(parameters)) < len(parameters):
        document.refuse((*path, "path"), "a parameter twice", "each {name} once")


def _check_upstream(document: Document, path: KeyPath) -> None:
    name, upstreams = document.at(path), declared(document, "upstreams")
    if isinstance(name, str) and name not in upstreams:
        document.refuse_reference(path, "upstream", name, upstreams)


def _check_destination(document: Document, path: KeyPath, route: RouteSettings) -> None:
    if route.upstream is None and route.builtin is None:
        document.refuse(path, "a route that leads nowhere", "upstream or builtin")
    elif route.upstream is not None and route.builtin is not None:
        document.refuse((*path, "builtin"), "builtin beside upstream", "one of them")


def _check_order(document: Document, found: list[Entry]) -> None:
    for before, after in pairwise(found):
        if after.phase < before.phase:
            stages = f"{before.phase.name} comes after {after.phase.name}"
            document.refuse(after.path, f"{after.name} after {before.name}", f"it before, since {stages} on the walk")
    for index, entry in enumerate(found):
        # Several limits may stand in one route, as long as they are not the same one.
        for other in found[:index]:
            if other.kind is entry.kind and not (entry.meters and other.config != entry.config):
                document.refuse(entry.path, f"{entry.name} again", "each policy once in a route")
                break


def _check_companions(document: Document, found: list[Entry]) -> None:
    present = {entry.name for entry in found}
    for entry in found:
        for name in entry.requires:
            if name not in present:
                document.refuse(entry.path, f"{entry.name} alone", f"{name} in the same route")


def _check_presence(document: Document, path: KeyPath, route: RouteSettings, found: list[Entry]) -> None:
    at = (*path, "policies")
    phases = {entry.phase for entry in found}
    if not any(entry.authenticates for entry in found):
        if not any(entry.lets_anyone_in for entry in found):
            hint = "Add jwt_bearer, hmac_signature, api_key or widget_key, or public for everybody."
            document.refuse(at, "no policy that authenticates", "at least one", hint)
        if not route.white_label:
            return
    if Phase.MATCH not in phases:
        hint = "Without it a caller could name a tenant that its credential is not for."
        document.refuse(at, "no policy that matches the tenant", "tenant_match", hint)
    if Phase.STATE not in phases:
        document.refuse(at, "no policy that checks the tenant's status", "tenant_status", "Suspended tenants would be served.")
    if route.upstream is not None and Phase.STAMP not in phases:
        document.refuse(at, "no policy that tells the upstream who calls", "tenant_headers", "It could not tell tenants apart.")
