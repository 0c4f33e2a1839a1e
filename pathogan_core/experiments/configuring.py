"""A method's configuration from a notebook's parameters; its refusals in the notebook's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pathogan_core.errors import PathoganError

T = TypeVar("T")


def made(kind: Callable[..., T], p: Any, names: Mapping[str, str]) -> T:
    """A configuration with the parameters that its fields are.

    Args:
        kind: makes it of named fields.
        p: a chapter's parameters.
        names: by field of the configuration, the parameter that it is.

    Raises:
        PathoganError: what `kind` refuses, with parameters in place of fields.
    """
    fields: dict[str, Any] = {field: getattr(p, name) for field, name in names.items()}
    try:
        return kind(**fields)
    except PathoganError as error:
        raise _in_words_of_the_notebook(error, names) from error


def _in_words_of_the_notebook(error: PathoganError, names: Mapping[str, str]) -> PathoganError:
    """The same with parameters in place of the fields that it names."""

    def said(text: object) -> str:
        return re.sub(r"\w+", lambda word: names.get(word[0], word[0]), str(text))

    return PathoganError(said(error.problem), where=said(error.where), remedy=said(error.remedy))
