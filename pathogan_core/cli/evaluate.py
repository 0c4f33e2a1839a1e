"""`pathogan evaluate`: figures from standard CSV files."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from textwrap import fill
from typing import Annotated, Any

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

    positive = positive and positive.strip().lower()
    if key is None:
        results = judge_readers(turing_answers.read_answers(answers), positive)
    else:
        results = score_answers(answers, key, positive=positive)
    figures = {reader: result.as_dict() for reader, result in results.items()}
    _report(figures, turing_answers.as_table(results), turing_answers.explain(results), json)


@app.command()
def boxes(
    truth: Annotated[Path, typer.Option(help="CSV with image,xmin,ymin,xmax,ymax.")],
    detections: Annotated[Path, typer.Option(help="CSV with image,xmin,ymin,xmax,ymax,score.")],
    images: Annotated[Path, typer.Option(help="Text file that names every image, one to a line.")],
    threshold: Annotated[
        float, typer.Option(help="Score from which a detection counts at the operating point.")
    ] = 0.001,
    patients: Annotated[
        Path | None, typer.Option(help="CSV with image,patient: adds 95% intervals.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the figures here; without it they go to stdout.")
    ] = None,
) -> None:
    """Detection: sensitivity and false positives per image at IoU 0.25 and 0.5, and the FROC.

    Boxes are in pixels, in continuous coordinates: width is xmax - xmin. By descending score each
    detection takes the free truth box of highest IoU that reaches the threshold; all others are
    false positives. Images without truth boxes are lesion-free.

    Without --json the JSON is all that stdout holds and the tables go to stderr; with it the
    tables go to stdout.
    """
    from pathogan_core.evaluation import detection_files

    names = detection_files.read_images(images)
    figures = detection_files.evaluate(
        detection_files.read_truth(truth, names),
        detection_files.read_detections(detections, names),
        None if patients is None else detection_files.read_patients(patients, names),
        threshold=threshold,
    )
    _report(figures, detection_files.as_table(figures), detection_files.explain(figures), json)


@app.command()
def froc(
    annotations: Annotated[
        Path, typer.Option(help="CSV with seriesuid,coordX,coordY,coordZ,diameter_mm: nodules.")
    ],
    excluded: Annotated[
        Path, typer.Option(help="CSV with the same columns: findings on which marks drop out.")
    ],
    detections: Annotated[
        Path, typer.Option(help="CSV with seriesuid,coordX,coordY,coordZ,probability.")
    ],
    series: Annotated[
        Path, typer.Option(help="Text file with every seriesuid, one to a line, no header.")
    ],
    json: Annotated[
        Path | None, typer.Option(help="Write the figures here; without it they go to stdout.")
    ] = None,
) -> None:
    """Lung nodules by LUNA16's rules: sensitivity at 1/8 to 8 false positives per scan, and CPM.

    A mark strictly within a nodule's radius of its centre finds it. Marks on excluded findings
    drop out, and so do further hits of a nodule. Intervals are 95%, from a bootstrap over scans.
    An excluded diameter below 0 is unknown and counts as 10 mm. By size (up to 10 mm, up to 20 mm,
    above), and by attenuation if the annotations have a column of that name.

    Without --json the JSON is all that stdout holds and the table goes to stderr; with it the
    table goes to stdout.
    """
    from pathogan_core.evaluation import luna_files

    names = luna_files.read_series(series)
    figures = luna_files.evaluate(
        names,
        luna_files.read_annotations(annotations, names),
        luna_files.read_excluded(excluded, names),
        luna_files.read_marks(detections, names),
        luna_files.read_attenuations(annotations),
    )
    _report(figures, luna_files.as_table(figures), luna_files.explain(figures), json)


def _report(figures: Any, table: str, words: str, json: Path | None) -> None:
    """The JSON alone on stdout and what people read on stderr, or that on stdout and JSON filed."""
    from pathogan_core.files import write_json

    if json is None:
        typer.echo(dumps(figures, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        write_json(json, figures)
    readable = "\n\n".join([table, *(fill(text, LINE) for text in words.splitlines())])
    typer.echo(f"\n{readable}", err=json is None)
