"""Reads settings from `RELAY_…` variables, or from the files that `RELAY_…_FILE` variables name.

Only this module reads the environment. A group of settings is a `SettingsGroup`: a frozen model whose fields are variables. A
field of type `Secret` or `Material` (keys, certificates) may be given as a file instead, never both ways. All faults
are collected over all groups and reported together, each under the name of its variable, and no secret is repeated.
"""

from __future__ import annotations

import difflib
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeVar, get_args

from pydantic import BeforeValidator, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from relay.core.textfile import text_of
from relay.errors import RelayError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

PREFIX: Final = "RELAY_"
RETIRED: Final[frozenset[str]] = frozenset()
"""Settings of an earlier release that have no effect. They are ignored for one release, with a line in the log."""
_MOST_FILE_BYTES: Final = 1 << 20  # no key, certificate or key ring is this long; a wrong file may be


class SettingsInvalid(RelayError):
    """The settings are invalid; the relay does not start.

    Attributes:
        faults: all faults, each beginning with the variable's name.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class _FromFile:
    """Marks a field that may be given as a file."""


class _Trouble(NamedTuple):
    """Replaces a value that could not be read; becomes the field's fault."""

    text: str


def duration(value: object) -> object:
    """Parse `5`, `5s`, `500ms`, `10m` or `1h30m` to a timedelta."""
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return timedelta(seconds=float(text))
    if not re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h|d))+", text):
        raise ValueError(f"{value!r} is not a duration; write 5s, 500ms, 10m or 1h30m")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    return sum((float(number) * _UNITS[unit] for number, unit in parts), timedelta())


Secret = Annotated[SecretStr, _FromFile()]
"""A value that must never be shown."""
Material = Annotated[str, _FromFile()]
"""A document, such as a certificate: usually too long for a variable."""
Duration = Annotated[timedelta, BeforeValidator(duration)]


class SettingsGroup(BaseSettings):
    """One group of settings. Values passed to the constructor override variables."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True, populate_by_name=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Passed values, then variables; no other sources (`.env` files are not read)."""
        return init_settings, _Variables(settings_cls)

    @field_validator("*", mode="before")
    @classmethod
    def _not_trouble(cls, value: object) -> object:
        if isinstance(value, _Trouble):
            raise ValueError(value.text)  # noqa: TRY004  what pydantic takes for a fault
        return value


class _Variables(PydanticBaseSettingsSource):
    """Reads the variables of one group."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        name = variable_of(self.settings_cls, field_name)
        value = os.environ.get(name) or None  # many tools express "not set" by an empty value
        path = os.environ.get(f"{name}_FILE") or None if may_be_file(field) else None
        if value is not None and path is not None:
            value = _Trouble(f"is given twice, also as {name}_FILE; keep one")  # type: ignore[assignment]
        elif path is not None:
            value = _read(f"{name}_FILE", path)  # type: ignore[assignment]
        return value, field_name, False

    def __call__(self) -> dict[str, Any]:
        found = ((name, self.get_field_value(field, name)[0]) for name, field in _fields(self.settings_cls))
        return {name: value for name, value in found if value is not None}


GroupT = TypeVar("GroupT", bound=SettingsGroup)


def collect(group: type[GroupT], given: Mapping[str, Any], faults: list[str]) -> GroupT | None:
    """Read the group's settings; return None when they are wrong, with the faults added to `faults`."""
    try:
        return group(**given)
    except ValidationError as error:
        faults += [_sentence(group, fault) for fault in error.errors(include_url=False, include_input=True)]
        return None


def is_given(group: type[SettingsGroup], field_name: str) -> bool:
    """Return True if a field's variable is set, valid or not."""
    name = variable_of(group, field_name)
    return any(os.environ.get(variable) for variable in (name, f"{name}_FILE"))


def files(group: type[SettingsGroup]) -> Iterator[tuple[str, Path]]:
    """Yield the fields that are given as files, each with its file."""
    for field_name, field in _fields(group):
        path = os.environ.get(f"{variable_of(group, field_name)}_FILE") if may_be_file(field) else None
        if path:
            yield field_name, Path(path)


def unknown(groups: Iterable[type[SettingsGroup]]) -> list[str]:
    """Return a fault for each unknown variable with our prefix, such as a misspelled one."""
    known = {name for group in groups for name in variables(group)} | RETIRED
    strangers = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    return [_stranger(name, known) for name in strangers if not _SERVICE_LINK.fullmatch(name)]


def retired_in_use() -> list[str]:
    """Return the variables that are set but no longer have an effect."""
    return sorted(name for name in RETIRED if name in os.environ)


def variables(group: type[SettingsGroup]) -> Iterator[str]:
    """Yield all names that a group reads."""
    for field_name, field in _fields(group):
        name = variable_of(group, field_name)
        yield name
        if may_be_file(field):
            yield f"{name}_FILE"


def variable_of(group: type[BaseSettings], field_name: str) -> str:
    """Return the variable of a field."""
    extra = group.model_fields[field_name].json_schema_extra
    own = extra.get("variable") if isinstance(extra, dict) else None
    return str(own) if own else f"{group.model_config['env_prefix']}{field_name}".upper()


def may_be_file(field: FieldInfo) -> bool:
    """Return True if a field may be given as a file."""
    return any(isinstance(mark, _FromFile) for mark in field.metadata) or _is_marked(field.annotation)


def is_secret(field: FieldInfo) -> bool:
    """Return True if a field's value must not be shown."""
    return _mentions(field.annotation, SecretStr)


def _mentions(annotation: object, kind: type) -> bool:
    return annotation is kind or any(_mentions(part, kind) for part in get_args(annotation))


def _is_marked(annotation: object) -> bool:
    return any(isinstance(part, _FromFile) or _is_marked(part) for part in get_args(annotation))


def _fields(group: type[BaseSettings]) -> Iterable[tuple[str, FieldInfo]]:
    return group.model_fields.items()


def _read(name: str, path: str) -> str | _Trouble:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST_FILE_BYTES + 1)
        if len(content) > _MOST_FILE_BYTES:
            return _Trouble(f"{name} names {path}, which is far too long")
        text = text_of(content)
    except OSError as error:
        return _Trouble(f"{name} names {path}, which cannot be read: {error.strerror or type(error).__name__}")
    except ValueError:  # not UTF-8, or a path with a NUL
        return _Trouble(f"{name} names {path!r}, which holds no text")
    return text or _Trouble(f"{name} names {path}, which is empty")


def _sentence(group: type[SettingsGroup], fault: ErrorDetails) -> str:
    """Return a fault that names the variable and its value as set."""
    if not fault["loc"]:  # concerns several settings: the text names them
        return _without_prefix(fault["msg"])
    field_name = str(fault["loc"][0])
    if field_name not in group.model_fields:
        return f"{group.__name__}.{field_name}: there is no such setting"
    field = group.model_fields[field_name]
    shown = "" if may_be_file(field) else f"{shown_value(fault['input'])[:60]!r} "
    return f"{variable_of(group, field_name)}: {_words(fault, shown)}"


def _words(fault: ErrorDetails, shown: str) -> str:
    limits = fault.get("ctx", {})
    match fault["type"]:
        case "missing":
            return "must be set"
        case "int_parsing" | "int_from_float" | "int_type":
            link = "; Kubernetes sets it for a service of that name: set enableServiceLinks: false in the pod"
            return f"{shown}is not a whole number{link if '://' in shown else ''}"
        case "float_parsing" | "float_type":
            return f"{shown}is not a number"
        case "bool_parsing" | "bool_type":
            return f"{shown}is neither true nor false"
        case "literal_error" | "enum":
            return f"{shown}is not one of {str(limits['expected']).replace(chr(39), '')}"
        case "greater_than_equal":
            return f"{shown}is too small; at least {limits['ge']}"
        case "greater_than":
            return f"{shown}is too small; more than {limits['gt']}"
        case "less_than_equal":
            return f"{shown}is too large; at most {limits['le']}"
    return _without_prefix(fault["msg"])


def shown_value(value: object) -> str:
    """Return a setting's value in the form in which people write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, timedelta):
        return str(value)
    for unit, size in (("h", _UNITS["h"]), ("m", _UNITS["m"]), ("s", _UNITS["s"])):
        if value >= size and not value % size:
            return f"{value // size}{unit}"
    return f"{value // _UNITS['ms']}ms"


def _without_prefix(message: str) -> str:
    return message.removeprefix("Value error, ")


def _stranger(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    return f"{name}: there is no such setting" + (f"; did you mean {near[0]}?" if near else "")


_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}

# Kubernetes sets these in each pod for a service called relay-…, unless the pod has enableServiceLinks: false.
_SERVICE_LINK: Final = re.compile(
    r"RELAY_\w*_?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)"
)
