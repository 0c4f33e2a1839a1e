"""`pathogan runs`: what the run store holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pathogan_core.errors import PathoganError

app = typer.Typer(no_args_is_help=True)

Root = Annotated[
    Path | None, typer.Option(help="The run store; by default $PATHOGAN_RUNS or runs/.")
]


@app.callback()
def callback() -> None:
    """Trained runs: what there is and how it was made."""


@app.command("list")
def list_runs(root: Root = None) -> None:
    """Show the runs of the store, one a line."""
    from pathogan_core.experiments.store import finished_runs, open_run, unfinished_runs

    root = _store(root)
    finished, begun = finished_runs(root), unfinished_runs(root)
    for folder in finished:
        try:
            record = open_run(folder).record
        except PathoganError as error:  # one damaged record hides no other run
            typer.echo(f"{folder.name}  unreadable: {error}")
            continue
        typer.echo(
            f"{record.run}  {record.chapter} {record.setup}  scale {record.scale}, "
            f"seed {record.seed}, {record.steps:,} steps, data {_sources(record.inputs)}, "
            f"finished {record.finished}"
        )
    for folder in begun:
        typer.echo(f"{folder.name}  begun, not finished")
    if not finished and not begun:
        typer.echo(f"{root} holds no runs", err=True)


@app.command("show")
def show_run(
    run: Annotated[str, typer.Argument(help="A name from `pathogan runs list`.")],
    root: Root = None,
) -> None:
    """Print a finished run's record as JSON."""
    from pathogan_core.experiments.store import finished_runs, open_run

    root = _store(root)
    folders = {folder.name: folder for folder in finished_runs(root)}
    if run not in folders:
        raise PathoganError(
            "is no finished run",
            where=f"{root}: {run}",
            remedy=f"there is {', '.join(folders) or 'none yet'}",
        )
    record = open_run(folders[run]).record
    typer.echo(json.dumps(record.as_json(), indent=2, ensure_ascii=False))


def _store(root: Path | None) -> Path:
    from pathogan_core.places import runs_root

    return root or runs_root()


def _sources(inputs: dict[str, dict[str, Any]]) -> str:
    """`real`, `simulated` or both: a simulated cohort must not pass for a real one."""
    return "+".join(sorted({str(given.get("source")) for given in inputs.values()})) or "none"
