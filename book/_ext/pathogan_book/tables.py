"""Tables as docutils nodes: themed, searchable, printable, and scrollable on a phone."""

from __future__ import annotations

from collections.abc import Sequence

from docutils import nodes

Cell = str | Sequence[nodes.Node]

NOT_RUN = "not run"
STALE = "stale"
MIXED = "mixed"
# What a page says instead of a number, with the reason as its tooltip.
REASONS = {
    NOT_RUN: "no record has this number",
    STALE: "the method has changed since this run; the number no longer describes it",
    MIXED: "the runs differ in more than their seed; a mean over them would mean nothing",
}


def table(headers: Sequence[Cell], rows: Sequence[Sequence[Cell]], name: str) -> nodes.container:
    """A table in a container that scrolls sideways where the window is narrow.

    Args:
        headers: one cell per column.
        rows: each as long as `headers`.
        name: a CSS class of its own (`pg-<name>`).
    """
    group = nodes.tgroup(cols=len(headers))
    group += [nodes.colspec(colwidth=1) for _ in headers]
    group += nodes.thead("", _row(headers))
    group += nodes.tbody("", *[_row(row) for row in rows])
    grid = nodes.table("", group, classes=["pg-table", f"pg-{name}", "colwidths-auto"])
    return nodes.container("", grid, classes=["pg-scroll"])


def _row(cells: Sequence[Cell]) -> nodes.row:
    return nodes.row("", *[nodes.entry("", _paragraph(cell)) for cell in cells])


def _paragraph(cell: Cell) -> nodes.paragraph:
    content = [nodes.Text(cell)] if isinstance(cell, str) else list(cell)
    return nodes.paragraph("", "", *content)


def explained(text: str, explanation: str, *classes: str) -> nodes.abbreviation:
    """Text that tells where it comes from when pointed at (an HTML `abbr`)."""
    return nodes.abbreviation("", text, explanation=explanation, classes=["pg-number", *classes])


def missing(word: str) -> nodes.abbreviation:
    """A word of `REASONS`, marked so that nobody takes it for a result."""
    return explained(word, REASONS[word], "pg-missing")


def note(text: str) -> nodes.paragraph:
    """A quiet line below a table."""
    return nodes.paragraph("", text, classes=["pg-note"])
