"""Roles that copy one number from its source into a sentence.

    {record}`ch3/wgan-t1c-128:kid`            a metric of a committed record
    {record}`ch3/wgan-t1c-128:kid.interval`   its interval; also .n, .unit
    {record}`ch3/wgan-t1c-128:steps:,`        a field of the record, with a format
    {published}`table1:wgan-t1c-128:accuracy_percent:.0f`

A record that does not exist prints "not run", one of an older method prints "stale". A published
cell that does not exist is a mistake on the page and fails the build.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole

from .evidence import (
    EvidenceError,
    Run,
    interval_text,
    published_row,
    published_table,
    read_run,
    record_path,
)
from .staleness import is_stale
from .tables import NOT_RUN, STALE, explained, missing

DEFAULT_FORMAT = ".3g"


def setup(app: Sphinx) -> None:
    """Register the two roles."""
    app.add_role("record", RecordRole())
    app.add_role("published", PublishedRole())


class RecordRole(SphinxRole):
    """A number from `book/results/<chapter>/<setup>/record.json`."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        try:
            return [self._number()], []
        except EvidenceError as error:
            return _failed(self, error)

    def _number(self) -> nodes.Node:
        key, name, spec = split_target(self.text, parts=2)
        path = record_path(Path(self.env.srcdir), key)
        # Also where the file is missing: Sphinx then reads the page again until it is there.
        self.env.note_dependency(str(path))
        run = read_run(path)
        if run is None:
            return missing(NOT_RUN)
        if is_stale(Path(self.env.srcdir), run):
            return missing(STALE)
        text, detail = value_of(run, name, spec)
        return explained(text, f"{run.name}: {run.provenance}{detail}", f"pg-{run['scale']}")


class PublishedRole(SphinxRole):
    """A number the thesis printed, from `pathogan_core/experiments/published/*.csv`."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        try:
            table, key, column, spec = split_target(self.text, parts=3)
            path, rows = published_table(Path(self.env.srcdir), table)
            self.env.note_dependency(str(path))
            row = published_row(rows, key)
            if column not in row:
                raise EvidenceError(f"{path.stem} has no column {column!r}")
            text = _formatted(row[column], spec) if spec else row[column]
        except EvidenceError as error:
            return _failed(self, error)
        return [
            explained(text, f"printed in {row.get('reference') or path.stem}", "pg-published")
        ], []


def split_target(target: str, parts: int) -> list[str]:
    """`a:b[:format]` -> [a, b, format]; the format is empty where none is given."""
    pieces = [piece.strip() for piece in target.split(":", parts)]
    if len(pieces) < parts or not all(pieces[:parts]):
        raise EvidenceError(f"{target!r} needs {parts} parts separated by colons")
    return pieces if len(pieces) > parts else [*pieces, ""]


def value_of(run: Run, name: str, spec: str) -> tuple[str, str]:
    """The text of a metric, a part of it, or a field of the record, and what a tooltip adds.

    A metric that this run did not measure is an error: the record exists, so the page is wrong.
    """
    metric_name, _, part = name.partition(".")
    metric = run.record.get("metrics", {}).get(metric_name)
    if metric is None:
        if part or isinstance(run.record.get(name), (dict, list)):
            raise EvidenceError(f"{run.path.parent.name} has no metric {metric_name!r}")
        return _formatted(run[name], spec or ("" if name == "seed" else "g")), ""
    detail = f" · n = {metric['n']}"
    if interval := interval_text(metric):
        detail += f" · {metric.get('interval_method') or 'interval'} {interval}"
    if part == "interval":
        return interval_text(metric, spec or DEFAULT_FORMAT) or "no interval", detail
    return _formatted(metric[part or "value"], spec or DEFAULT_FORMAT), detail


def _formatted(value: Any, spec: str) -> str:
    number = _number_of(value)
    if number is None:
        return str(value)
    try:
        return format(number, spec)
    except ValueError as error:
        raise EvidenceError(f"{spec!r} is no format for {value!r}: {error}") from error


def _number_of(value: Any) -> int | float | None:
    for kind in (int, float):
        try:
            number = kind(value)
        except (TypeError, ValueError):
            continue
        if number == float(value):
            return number
    return None


def _failed(
    role: SphinxRole, error: EvidenceError
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    message = role.inliner.reporter.error(f"{role.name}: {error}", line=role.lineno)
    return [role.inliner.problematic(role.rawtext, role.rawtext, message)], [message]
