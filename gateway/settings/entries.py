"""The policies of one route: found, their keys validated, and each built once to see whether it accepts what is declared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jwt import PyJWK
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from gateway.errors import KEYS_UNAVAILABLE, Refused
from gateway.pipeline.issuer import Issuer
from gateway.pipeline.policy import Phase, Setup
from gateway.tenancy.plan import Metric

from .document import Document
from .explain import as_sentence, explain, scrubbed
from .fault import KeyPath
from .names import issuer_names, metric_names, resource_names
from .policies import PolicyClass, PolicyNotFound, find_policy, split_entry
from .schema import IssuerSettings


@dataclass(frozen=True, slots=True)
class Entry:
    """A policy as it stands in a route at `path`."""

    path: KeyPath
    name: str
    kind: PolicyClass
    config: BaseModel

    @property
    def phase(self) -> Phase:
        return self.kind.phase

    @property
    def authenticates(self) -> bool:
        return hasattr(self.kind, "authenticate")

    @property
    def lets_anyone_in(self) -> bool:
        return hasattr(self.kind, "principal")

    @property
    def requires(self) -> tuple[str, ...]:
        """Names of policies that must stand beside it."""
        named: tuple[str, ...] = getattr(self.kind, "requires", ())
        return named

    @property
    def meters(self) -> bool:
        return hasattr(self.kind, "demands")


def entries(document: Document, path: KeyPath) -> tuple[list[Entry], bool]:
    """The sound policies that stand in the list at `path`, and whether they are all that stand there."""
    raw = document.at(path)
    if not isinstance(raw, list):
        return [], False
    found = [_entry(document, (*path, index), item) for index, item in enumerate(raw)]
    sound = [entry for entry in found if entry is not None]
    return sound, 0 < len(sound) == len(found)


def build(document: Document, route: str, entry: Entry) -> bool:
    """Whether the policy accepts its setup; what it says against it becomes a fault of `document`."""
    unknown = list(_unknown_references(document, entry))
    for path, kind, name, candidates in unknown:
        document.refuse_reference(path, kind, name, candidates)
    if unknown:
        return False
    try:
        entry.kind(entry.config, _setup(document, route))
    except Exception as error:  # A stranger's policy may fail in any way; each of them is a fault of the configuration.
        said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        hint = as_sentence(scrubbed(document, entry.path, said, document.at(entry.path)))
        document.refuse(entry.path, f"{entry.name}, which refuses to be built", "a policy that fits this file", hint)
        return False
    return True


def _entry(document: Document, path: KeyPath, raw: object) -> Entry | None:
    try:
        name, config = split_entry(raw)
    except PydanticCustomError:
        return None  # It is told already, by the model of the file.
    try:
        kind = find_policy(name)
    except PolicyNotFound as error:
        document.refuse(
            path, error.found if document.origin(path) is None else document.show(path, name), error.expected, error.hint
        )
        return None
    try:
        return Entry(path, name, kind, kind.Config.model_validate(config))
    except ValidationError as error:
        explain(document, error, (*path, name))
        return None


def _unknown_references(document: Document, entry: Entry) -> Iterator[tuple[KeyPath, str, str, list[str]]]:
    """By convention the keys `issuer(s)`, `metric(s)` and `resource(s)` of a policy name what this file declares."""
    declared = {"issuer": issuer_names(document), "metric": metric_names(document), "resource": resource_names(document)}
    for kind, candidates in declared.items():
        for field in (kind, f"{kind}s"):
            value = getattr(entry.config, field, None)
            at = (*entry.path, entry.name, field)
            named = [(at, value)] if isinstance(value, str) else [((*at, i), item) for i, item in enumerate(value or ())]
            yield from ((path, kind, name, candidates) for path, name in named if name not in candidates)


def _setup(document: Document, route: str) -> Setup:
    metrics = {name: Metric(name, name) for name in metric_names(document)}
    issuers = {name: _issuer(document, name) for name in issuer_names(document)}
    return Setup(route, issuers, metrics, frozenset(resource_names(document)))


def _issuer(document: Document, name: str) -> Issuer:
    try:
        issuer = IssuerSettings.model_validate(document.at(("identity", "issuers", name)))
    except ValidationError:
        return Issuer(name, frozenset(), _NoKeys())
    return Issuer(name, frozenset(issuer.algorithms), _NoKeys(), issuer.issuer, issuer.audience)


class _NoKeys:
    """No request is decided here, so no key is needed."""

    generation = 0

    def find(self, kid: str | None, algorithm: str) -> Sequence[PyJWK]:
        raise Refused(KEYS_UNAVAILABLE)
