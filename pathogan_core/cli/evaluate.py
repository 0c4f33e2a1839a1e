"""`pathogan evaluate`: figures from standard CSV files."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from textwrap import fill
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)
LINE = 88  # characters of running text


@app.callback()
def callback() -> None:
    """Evaluate answers and detections given as CSV files."""


@app.command()
def turing(
    answers: Annotated[
        Path, typer.Option(help="CSV with reader,truth,answer (and class_truth,class_answer).")
    ],
    key: Annotated[
        Path | None,
        typer.Option(
            help="key.csv of an exported session; then --answers has reader,image,answer "
            "(and class_answer)."
        ),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(help="The class that sensitivity is about; tumour, if a class is called so."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the figures here; without it they go to stdout.")
    ] = None,
) -> None:
    """Visual Turing Test: rates, exact intervals, d' and criterion, per reader and pooled.

    Where a class was asked for too: accuracy, sensitivity and specificity in real, synthetic and
    all images.

    Without --json the JSON is all that stdout holds and the table goes to stderr; with it the
    table goes to stdout.
    """
    from pathogan_core.evaluation import turing_answers
    from pathogan_core.evaluation.turing import judge_readers
    from pathogan_core.evaluation.turing_session import score_answers
    from pathogan_core.files import write_json

    positive = positive and positive.strip().lower()
    if key is None:
        results = judge_readers(turing_answers.read_answers(answers), positive)
    else:
        results = score_answers(answers, key, positive=positive)
    figures = {reader: result.as_dict() for reader, result in results.items()}
    if json is None:
        typer.echo(dumps(figures, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        write_json(json, figures)
    paragraphs = [fill(text, LINE) for text in turing_answers.explain(results).splitlines()]
    readable = "\n\n".join([turing_answers.as_table(results), *paragraphs])
    typer.echo(f"\n{readable}", err=json is None)
