"""Does a record still describe the code beside it?

A method's `revision` number is raised whenever its results change. It stands in the method's file
as a plain literal and is read there without importing torch. A run that rests on a stale one is
stale, too.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

from .evidence import Run, rests_on

METHOD_FOLDERS = tuple(
    Path("pathogan_core") / name
    for name in ("gans", "cad", "experiments/chapter4", "experiments/chapter5")
)
# Methods in a file of another name.
FILE_OF = {"wgan": "dcgan", "resnet18": "resnet50", "pool": "pools", "map": "mapping"}


def is_stale(root: Path, run: Run) -> bool:
    """True where the method's present revision differs from the record's, or a source is stale.

    A method whose revision is not written as a literal cannot be checked and counts as current.
    """
    method = str(run.record.get("method"))
    known = revisions(root)
    current = known.get(method, known.get(FILE_OF.get(method, "")))
    if current is not None and current != run.record.get("revision"):
        return True
    return any(is_stale(root, source) for source in rests_on(root, run))


def revisions(root: Path) -> dict[str, int]:
    """Method or file name -> revision, over all method files."""
    found: dict[str, int] = {}
    for folder in METHOD_FOLDERS:
        for path in sorted((root / folder).glob("*.py")):
            found |= _revisions_in(path, path.stat().st_mtime_ns)
    return found


@lru_cache(maxsize=256)
def _revisions_in(path: Path, modified_ns: int) -> dict[str, int]:
    """The literals among a file's revisions.

    `REVISION = 3` is of the method that the file is named after, `DISCARDING_REVISION = 3` of the
    method `discarding`, and `REVISIONS = {...}` of each method in it.
    """
    found: dict[str, int] = {}
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        for name in _assigned_names(statement):
            if not name.endswith(("REVISION", "REVISIONS")):
                continue
            try:
                value = ast.literal_eval(statement.value)  # type: ignore[attr-defined]
            except ValueError:  # made of other names
                continue
            method = name.removesuffix("REVISION").rstrip("_").lower() or path.stem
            found |= value if isinstance(value, dict) else {method: value}
    return found


def _assigned_names(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.AnnAssign):
        targets: list[ast.expr] = [statement.target] if statement.value is not None else []
    else:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}
