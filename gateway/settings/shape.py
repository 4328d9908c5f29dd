"""The model of gateway.yaml, asked by the path of a value: which keys may stand there, what they mean, what is a secret."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr

from .fault import KeyPath
from .policies import PolicyEntry, PolicyNotFound, find_policy
from .schema import Settings


@dataclass(frozen=True, slots=True)
class Spot:
    """What the model says about one place. `hidden`: the field is kept out of reprs, or one around it is."""

    annotation: object
    description: str = ""
    hidden: bool = False


def spot(path: KeyPath) -> Spot | None:
    """None where the model knows no such place."""
    here: Spot | None = Spot(Settings)
    for key in path:
        if here is None:
            return None
        following = next(filter(None, (_step(kind, key) for kind in _alternatives(here.annotation))), None)
        here = following and Spot(following.annotation, following.description, here.hidden or following.hidden)
    return here


def fields(path: KeyPath) -> list[str]:
    """Keys that may stand in the mapping at `path`; none where they are names of the writer's choice."""
    here = spot(path)
    models = [kind for kind in _alternatives(here.annotation) if _is_model(kind)] if here else []
    return [name for kind in models if isinstance(kind, type) and issubclass(kind, BaseModel) for name in kind.model_fields]


def is_secret(path: KeyPath) -> bool:
    """Also where the model knows no such place: a misspelt key may hold a secret as well as a right one."""
    here = spot(path)
    return here is None or here.hidden or _holds_secret(here.annotation)


def is_secret_itself(path: KeyPath) -> bool:
    """Whether one secret stands there, and nothing around it."""
    here = spot(path)
    return here is not None and any(kind in (SecretStr, SecretBytes) for kind in _alternatives(here.annotation))


def _step(kind: object, key: str | int) -> Spot | None:
    if kind is PolicyEntry:
        return _policy_config(key)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(key))
        return field and Spot(field.annotation, field.description or "", not field.repr)
    if get_origin(kind) is dict:
        return Spot(get_args(kind)[1])
    if get_origin(kind) in (tuple, list, set, frozenset) and isinstance(key, int):
        return Spot(get_args(kind)[0])
    return None


def _policy_config(name: str | int) -> Spot | None:
    try:
        return Spot(find_policy(str(name)).Config)
    except PolicyNotFound:
        return None


def _alternatives(annotation: object) -> Iterable[object]:
    if get_origin(annotation) is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _alternatives(member)
    else:
        yield annotation


def _holds_secret(annotation: object) -> bool:
    if annotation is PolicyEntry:
        return False
    if annotation in (SecretStr, SecretBytes):
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(not field.repr or _holds_secret(field.annotation) for field in annotation.model_fields.values())
    return any(_holds_secret(argument) for argument in get_args(annotation))


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not PolicyEntry
