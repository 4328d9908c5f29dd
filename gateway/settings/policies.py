"""A policy as it stands in a route: found by its name, its keys validated by its own `Config`."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

import policies
from gateway.pipeline.policy import Phase, Policy, Setup

from .fault import did_you_mean

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DOTTED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+")
# What the walk asks of a policy (gateway.pipeline.policy). A class with none of these would be named and do nothing.
_ABILITIES = ("authenticate", "principal", "check", "demands", "stamp")


class PolicyClass(Protocol):
    """A class that gateway.yaml may name."""

    Config: type[BaseModel]
    phase: Phase
    __name__: str
    __module__: str

    def __call__(self, config: BaseModel, setup: Setup, /) -> Policy: ...


class PolicyNotFound(LookupError):
    """`found`, `expected` and `hint` are those of a fault."""

    def __init__(self, found: str, expected: str, hint: str = "") -> None:
        super().__init__(f"found {found}, expected {expected}. {hint}".rstrip())
        self.found, self.expected, self.hint = found, expected, hint


class PolicyEntry(BaseModel):
    """`- tenant_match` or `- rate_limit: {rate: 5/second}`."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    name: str
    config: dict[str, object] = Field(default={}, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, raw: object) -> object:
        if isinstance(raw, cls):
            return raw
        name, config = split_entry(raw)
        return {"name": name, "config": config}

    def build(self, setup: Setup) -> Policy:
        """The policy itself. Raises PolicyNotFound, pydantic.ValidationError, and ValueError where it does not fit `setup`."""
        found = find_policy(self.name)
        return found(found.Config.model_validate(self.config), setup)


def split_entry(raw: object) -> tuple[str, dict[str, object]]:
    """Name and keys of an entry of `policies`. Raises PydanticCustomError."""
    if isinstance(raw, str):
        return raw, {}
    if not isinstance(raw, dict) or len(raw) != 1:
        raise PydanticCustomError("entry", "a policy's name, or one name with its keys below it")
    name, config = next(iter(raw.items()))
    if config is not None and not isinstance(config, dict):
        raise PydanticCustomError("entry", "the keys of the policy below its name")
    return str(name), config or {}


def builtin_policies() -> list[str]:
    """Names of the policies that come with the gateway."""
    return sorted(module.name for module in iter_modules(policies.__path__))


def policy_doc(policy: PolicyClass) -> str:
    """What the policy is for: the first line of its module, then its own words."""
    module = sys.modules[policy.__module__]
    return " ".join(
        " ".join((text or "").split()) for text in (module.__doc__ and module.__doc__.partition("\n\n")[0], policy.__doc__)
    ).strip()


def class_name(name: str) -> str:
    """`jwt_bearer` is the class `JwtBearer`."""
    return "".join(part.capitalize() for part in name.split("_"))


def find_policy(name: str) -> PolicyClass:
    """The class that `name` means: `jwt_bearer` in the package `policies`, or `acme.hours.BusinessHours` anywhere.

    Raises PolicyNotFound.
    """
    if _NAME.fullmatch(name):
        if name not in builtin_policies():
            hint = did_you_mean(name, builtin_policies()) or f"There are: {', '.join(builtin_policies())}."
            raise PolicyNotFound(f'the unknown policy "{name}"', "a policy of the gateway, or the dotted path of a class", hint)
        return _class(f"policies.{name}", class_name(name))
    if _DOTTED.fullmatch(name):
        module, _, attribute = name.rpartition(".")
        return _class(module, attribute)
    raise PolicyNotFound(
        "a policy's name of another form", "a name such as jwt_bearer, or a path such as acme.hours.BusinessHours"
    )


def _class(module_name: str, attribute: str) -> PolicyClass:
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise _broken(module_name, error) from error
        hint = "Install its package, or put its folder on PYTHONPATH."
        raise PolicyNotFound(f'no module "{module_name}"', "the module of a policy", hint) from error
    except Exception as error:  # A stranger's module may fail in any way; each of them is a fault of the configuration.
        raise _broken(module_name, error) from error
    kind = getattr(module, attribute, None)
    if not isinstance(kind, type):
        classes = [name for name, value in vars(module).items() if isinstance(value, type) and hasattr(value, "phase")]
        raise PolicyNotFound(f'no class "{attribute}" in {module_name}', "a policy class", did_you_mean(attribute, classes))
    lacks = _lacks(kind)
    if lacks:
        raise PolicyNotFound(f"{module_name}.{attribute}, which is no policy", f"a class with {lacks}")
    return cast(PolicyClass, kind)


def _lacks(kind: type) -> str:
    config = getattr(kind, "Config", None)
    if not (isinstance(config, type) and issubclass(config, BaseModel)):
        return "a nested pydantic model `Config`"
    if not isinstance(getattr(kind, "phase", None), Phase):
        return "a `phase`"
    if not any(hasattr(kind, ability) for ability in _ABILITIES):
        return f"one of {', '.join(_ABILITIES)}"
    return ""


def _broken(module_name: str, error: Exception) -> PolicyNotFound:
    return PolicyNotFound(f"{module_name}, which does not import ({type(error).__name__}: {error})", "a module that imports")
