"""Rows of the CSV files that people hand in, with error lines that name the row."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

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
            row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
            yield place, {k: v for k, v in row.items() if k in (*required, *optional)}
    except csv.Error as error:
        raise PathoganError(f"is not CSV ({error})", where=path, remedy="mend the file") from error
    if number == 0 and not may_be_empty:
        raise PathoganError("has a header but no rows", where=path, remedy="give one row per image")


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
