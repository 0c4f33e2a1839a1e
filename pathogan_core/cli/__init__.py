"""The `pathogan` command. Each sub-command lives in the file of its name."""

from __future__ import annotations

import sys

import typer

from pathogan_core.cli import cohorts, evaluate, generate, runs
from pathogan_core.errors import PathoganError

app = typer.Typer(
    name="pathogan",
    help="Cohorts, runs and evaluations of the pathology-aware GAN companion.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(cohorts.app, name="cohorts")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(runs.app, name="runs")
app.command("generate")(generate.generate)


def main() -> None:
    """Entry point: a `PathoganError` becomes one line on stderr and exit status 1."""
    try:
        app()
    except PathoganError as error:
        print(f"pathogan: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("pathogan: interrupted; run the same command to go on", file=sys.stderr)
        sys.exit(130)
