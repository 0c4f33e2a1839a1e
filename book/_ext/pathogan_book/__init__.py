"""The book's Sphinx extension: numbers and tables from records, offline assets, the API pages.

Standard library, PyYAML and Sphinx only, so that `jupyter-book build .` works from a fresh clone
without torch. Nothing here computes a result: a number is copied from a record or a published
table, or the page says "not run".
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

from . import assets, cohorts, figures, library, numbers, runs, scoreboard


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the roles and directives of every part."""
    for part in (assets, cohorts, figures, library, numbers, runs, scoreboard):
        part.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
