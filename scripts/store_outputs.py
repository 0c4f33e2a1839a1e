"""Run the notebooks at smoke scale and store their outputs, ready to be committed.

    python scripts/store_outputs.py [NOTEBOOK ...]

What says nothing to a reader is left out: times of execution, states of widgets.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from pathogan_core.errors import PathoganError
from pathogan_core.files import atomic_write

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
CELL_SECONDS = 600


def store(path: Path) -> None:
    """Run one notebook with the values of its own parameters' cell and write it back."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
        record_timing=False,
    )
    started = time.monotonic()
    try:
        client.execute()
    except CellExecutionError as error:
        raise PathoganError(f"{error.ename}: {error.evalue}", where=path) from error
    notebook.metadata["language_info"] = {"name": "python"}  # its version is the machine's
    with atomic_write(path) as handle:
        handle.write(nbformat.writes(notebook).encode() + b"\n")
    print(f"{path.name}: {time.monotonic() - started:.0f} s, {path.stat().st_size / 1e3:.0f} kB")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="all of them by default")
    given = parser.parse_args()
    try:
        for path in given.notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
            store(path)
    except PathoganError as error:
        print(f"store_outputs: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
