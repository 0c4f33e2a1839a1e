"""Rows and lists of the text files that people hand in, with error lines that name the row."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pathogan_core.errors import PathoganError


def read_rows(
    path: str | Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    *,
    may_be_empty: bool = False,
) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a CSV file as (place, values by column), spaces trimmed, column names lower case.

    `place` is "row 3 (line 4)" for error lines. Columns outside `required` and `optional` are
    ignored, and so are empty lines, a byte-order mark and the kind of line ends.

    Args:
        path: the file.
        required, optional: names of columns.
        may_be_empty: a header without rows is an answer too.

    Raises:
        PathoganError: not readable as text, no header, a required column missing, a column given
            twice, a row with more or fewer cells than the header, no rows.
    """
    reader = csv.reader(read_text(path, "give a CSV file").splitlines())
    header = [name.strip().lower() for name in next(reader, [])]
    if not any(header):
        raise PathoganError(
            "is empty", where=path, remedy=f"give a CSV with the columns {','.join(required)}"
        )
    missing = [name for name in required if name not in header]
    if missing:
        raise PathoganError(
            f"column {missing[0]!r} is missing (found: {', '.join(header)})",
            where=path,
            remedy=f"the columns are {','.join(required)}, separated by commas",
        )
    twice = [name for name in (*required, *optional) if header.count(name) > 1]
    if twice:
        raise PathoganError(f"column {twice[0]!r} occurs twice", where=path, remedy="keep one")
    wanted = {n: header.index(n) for n in (*required, *optional) if n in header}
    number = 0
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            number += 1
            place = f"row {number} (line {reader.line_num})"
            if len(cells) != len(header):
                raise PathoganError(
                    f"{place} has {len(cells)} cells where the header has {len(header)}",
                    where=path,
                    remedy="mend that row",
                )
            yield place, {name: cells[column].strip() for name, column in wanted.items()}
    except csv.Error as error:
        raise PathoganError(f"is not CSV ({error})", where=path, remedy="mend the file") from error
    if number == 0 and not may_be_empty:
        raise PathoganError("has a header but no rows", where=path, remedy="give one row per image")


def read_numbers(
    path: str | Path, columns: Sequence[str], owners: Sequence[str], what: str
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[str]]:
    """Rows of finite numbers, each of which belongs to one of several images or scans.

    Args:
        path: the file; a header without rows is allowed.
        columns: the owner's, then those of numbers, as in `read_rows`.
        owners: every owner there is.
        what: what an owner is called in error lines, e.g. ``image``.

    Returns:
        Index of each row's owner ``[N]``, its numbers ``[N, columns - 1]``, and its place for error
        lines.

    Raises:
        PathoganError: as `read_rows`; an owner there is not, a number that is none or not finite.
    """
    indices = {name: index for index, name in enumerate(owners)}
    found, numbers, places = [], [], []
    for place, row in read_rows(path, columns, may_be_empty=True):
        owner = row[columns[0]]
        if owner not in indices:
            problem = f"{place}: {what} {owner!r} is not in the list of {what}s"
            raise PathoganError(problem, where=path, remedy="add it there, or remove the row")
        found.append(indices[owner])
        numbers.append([_number(row[name], name, place, path) for name in columns[1:]])
        places.append(place)
    table = np.array(numbers, dtype=np.float64).reshape(len(found), len(columns) - 1)
    return np.array(found, dtype=np.int64), table, places


def _number(text: str, column: str, place: str, path: str | Path) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        problem = f"{place}: {column} is {text!r}"
        raise PathoganError(problem, where=path, remedy="give a finite number, e.g. 12.5")
    return number


def read_names(path: str | Path, what: str) -> list[str]:
    """Names, one to a line, spaces around them trimmed and empty lines skipped.

    Args:
        path: the file; it has no header.
        what: what is named, for error lines, e.g. ``image``.

    Raises:
        PathoganError: unreadable, no names, or a name given twice.
    """
    lines: dict[str, int] = {}
    text = read_text(path, f"give a text file with one {what} to a line")
    for number, line in enumerate(text.splitlines(), start=1):
        name = line.strip()
        if name in lines:
            problem = f"line {number}: {what} {name!r} is already in line {lines[name]}"
            raise PathoganError(problem, where=path, remedy=f"name each {what} once")
        if name:
            lines[name] = number
    if not lines:
        remedy = f"name every {what}, one to a line, lesion-free ones too"
        raise PathoganError(f"names no {what}s", where=path, remedy=remedy)
    return list(lines)


def read_text(path: str | Path, remedy: str) -> str:
    """A UTF-8 file's text, without a byte-order mark.

    Raises:
        PathoganError: the file is missing, a folder, unreadable, or not UTF-8 text.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise PathoganError(f"cannot be read ({reason})", where=path, remedy=remedy) from error
