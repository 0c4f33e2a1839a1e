"""Notebook parameters: plain literals in, a checked frozen dataclass out.

papermill only warns about a name it does not know and goes on with the defaults, and ``-p`` passes
lists as strings; an operator would find out hours later. Here both stop in one line.
"""

from __future__ import annotations

import difflib
import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from pathogan_core.errors import PathoganError

T = TypeVar("T")
_IPYTHON = {"In", "Out", "exit", "quit", "open", "get_ipython"}


def checked(kind: type[T], namespace: Mapping[str, Any]) -> T:
    """Build the dataclass `kind` from a notebook's globals.

    Every field needs a default: its type is what a value must have. A list's entries must be of
    the type of the default's first one.

    Raises:
        PathoganError: a name is not a parameter, a value has another type, or a number is NaN or
            infinite.
    """
    defaults = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
    given = {
        name: value
        for name, value in namespace.items()
        if not (
            name.startswith("_")
            or name in _IPYTHON
            or isinstance(value, types.ModuleType | type | types.FunctionType)
        )
    }
    for name in given:
        if name not in defaults:
            close = difflib.get_close_matches(name, defaults, 1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise PathoganError(
                "is not a parameter of this notebook",
                where=name,
                remedy=f"{hint}valid names: {', '.join(defaults)}",
            )
    return kind(**{name: _typed(name, value, defaults[name]) for name, value in given.items()})


def _typed(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, float) and type(value) in (int, float):
        return _finite(name, value)
    if isinstance(default, tuple) and isinstance(value, list | tuple):
        return tuple(_typed(name, entry, default[0]) if default else entry for entry in value)
    if type(value) is type(default):
        return value
    example = list(default) if isinstance(default, tuple) else default  # as notebooks and YAML do
    kind = type(example).__name__
    remedy = f"give {'an' if kind == 'int' else 'a'} {kind}, e.g. {example!r}"
    if isinstance(value, str):
        remedy += "; papermill's -p passes text: use -y, and write 1.0e-4 for 1e-4"
    raise PathoganError(f"is {value!r} ({type(value).__name__})", where=name, remedy=remedy)


def _finite(name: str, value: float) -> float:
    try:
        number = float(value)
    except OverflowError:  # a whole number of more than 308 digits
        number = math.inf
    if not math.isfinite(number):
        raise PathoganError(f"is {number}", where=name, remedy="give a finite number")
    return number


def check_choices(parameters: object, choices: Mapping[str, Sequence[str | int]]) -> None:
    """Refuse values, and entries of tuples, that are none of the valid ones.

    Args:
        parameters: an object with these fields.
        choices: valid values by the field's name.

    Raises:
        PathoganError: names the first field with another value.
    """
    for name, valid in choices.items():
        for one in _entries(getattr(parameters, name)):
            if one not in valid:
                remedy = f"choose from {', '.join(map(str, valid))}"
                raise PathoganError(f"{one!r} is unknown", where=name, remedy=remedy)


def check_distinct(parameters: object, *names: str) -> None:
    """Refuse tuples with an entry that they name twice; as `check_choices`."""
    for name in names:
        entries = getattr(parameters, name)
        for one in entries:
            if entries.count(one) > 1:
                raise PathoganError(f"names {one!r} twice", where=name, remedy="name it once")


def check_positive(parameters: object, *names: str) -> None:
    """Refuse numbers, and entries of tuples, that are not above 0; as `check_choices`."""
    for name in names:
        value = getattr(parameters, name)
        if any(number <= 0 for number in _entries(value)):
            raise PathoganError(f"is {value}", where=name, remedy="give more than 0")


def check_not_negative(parameters: object, *names: str) -> None:
    """Refuse numbers, and entries of tuples, below 0; as `check_choices`."""
    for name in names:
        value = getattr(parameters, name)
        if any(number < 0 for number in _entries(value)):
            raise PathoganError(f"is {value}", where=name, remedy="give 0 or more")


def _entries(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
