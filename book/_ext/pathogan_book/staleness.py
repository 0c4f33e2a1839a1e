"""Does a record still describe the code beside it?

A method's `revision` number is raised whenever its results change. It stands in the method's file
as a plain literal and is read there without importing torch.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

from .evidence import Run

METHODS_FOLDER = Path("pathogan_core/gans")
# Methods that live in another method's file.
SHARED_FILE = {"wgan": "dcgan"}


def is_stale(root: Path, run: Run) -> bool:
    """True where the method's present revision differs from the record's.

    A method whose revision is not written as a literal cannot be checked and counts as current.
    """
    method = str(run.record.get("method"))
    known = revisions(root)
    current = known.get(method, known.get(SHARED_FILE.get(method, "")))
    return current is not None and current != run.record.get("revision")


def revisions(root: Path) -> dict[str, int]:
    """Method name -> revision, over all method files."""
    found: dict[str, int] = {}
    for path in sorted((root / METHODS_FOLDER).glob("*.py")):
        found |= _revisions_in(path, path.stat().st_mtime_ns)
    return found


@lru_cache(maxsize=64)
def _revisions_in(path: Path, modified_ns: int) -> dict[str, int]:
    """`REVISION = 3` is of the method the file is named after, `REVISIONS = {...}` of each."""
    found: dict[str, int] = {}
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        names = _assigned_names(statement)
        if not names & {"REVISION", "REVISIONS"}:
            continue
        value = ast.literal_eval(statement.value)  # type: ignore[attr-defined]
        found |= value if isinstance(value, dict) else {path.stem: value}
    return found


def _assigned_names(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.AnnAssign):
        targets: list[ast.expr] = [statement.target] if statement.value is not None else []
    else:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}
