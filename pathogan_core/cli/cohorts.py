"""`pathogan cohorts`: list, simulate, check, prepare, count classes, and list nodules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pathogan_core.cli.cohort_options import (
    Cohort,
    JsonFlag,
    Normals,
    Root,
    SetName,
    Splits,
    Workers,
    bar,
    changed,
    listed,
)
from pathogan_core.errors import PathoganError

if TYPE_CHECKING:
    from pathogan_core.cohorts.manifest import Manifest, Preparation

app = typer.Typer(no_args_is_help=True)


@app.callback()
def callback() -> None:
    """Cohorts of images: what there is, simulate, check, prepare."""


@app.command("list")
def list_cohorts(as_json: JsonFlag = False) -> None:
    """Show the cohorts that have a manifest."""
    from pathogan_core.cohorts.manifest import load_manifest, manifest_names

    manifests = [load_manifest(name) for name in manifest_names()]
    if as_json:
        typer.echo(json.dumps([manifest.model_dump() for manifest in manifests], indent=2))
        return
    for manifest in manifests:
        typer.echo(f"{manifest.name}: {manifest.title}")
        for label, value in _facts(manifest).items():
            typer.echo(f"  {label:<9} {value}")


def _facts(manifest: Manifest) -> dict[str, str]:
    cases = ", ".join(f"{count} {grade}" for grade, count in manifest.expected.cases.items())
    return {
        "cases": f"{cases} (thesis section {manifest.thesis_section})",
        **{name: _use(chosen) for name, chosen in manifest.preparations.items()},
        "layouts": ", ".join(manifest.layouts),
        "licence": manifest.licence.name,
        **({"sets": ", ".join(manifest.sources)} if manifest.sources else {}),
        "simulate": f"pathogan cohorts simulate {manifest.name} --out DIR",
        "source": manifest.provenance.citation,
    }


def _use(chosen: Preparation) -> str:
    from pathogan_core.cohorts.slices import PLANES

    selection = chosen.selection
    names = ", ".join([*selection.grades, *selection.sequences])
    span = f"{selection.plane} slices {selection.first_slice}..{selection.last_slice}"
    return (
        f"{names}, {span} along {PLANES[selection.plane].numbering}: "
        f"{chosen.expected.slices_per_sequence:,} a sequence"
    )


@app.command()
def simulate(
    cohort: Cohort,
    out: Annotated[Path, typer.Option(help="Folder to fill.")],
    patients: Annotated[int, typer.Option(help="How many patients.")] = 10,
    normals: Normals = None,
    seed: Annotated[int, typer.Option(help="Same seed, same voxels.")] = 0,
    layout: Annotated[
        str | None,
        typer.Option(help="Form that the files take; the first of the manifest's if not given."),
    ] = None,
    workers: Workers = 2,
) -> None:
    """Write a simulated cohort in the form of a real one."""
    from pathogan_core.cohorts.brain_simulation import simulate_cohort
    from pathogan_core.cohorts.metastases_cohort import simulate_metastases_cohort

    simulated = _manifest(cohort).simulated
    layout = layout or simulated.layouts[0]
    if layout not in simulated.layouts:
        raise PathoganError(
            f"is {layout!r}",
            where="--layout",
            remedy=f"choose one of {', '.join(simulated.layouts)}",
        )
    told = f"{patients} simulated patients"
    with bar("simulating", "patient") as progress:
        if simulated.simulator == "metastases":
            normals = normals or 0
            simulate_metastases_cohort(out, patients, normals, seed, workers, progress)
            told += f" and {normals} normal subjects"
        else:
            _refuse_normals(cohort, normals)
            simulate_cohort(out, patients, seed, layout, workers=workers, progress=progress)  # type: ignore[arg-type]
    typer.echo(f"{out}: {told}, layout {layout}, seed {seed}")


def _refuse_normals(cohort: str, normals: int | None) -> None:
    if normals is not None:
        raise PathoganError(
            f"cohort {cohort} has no normal subjects", where="--normals", remedy="leave it out"
        )


@app.command()
def check(
    cohort: Cohort,
    root: Root,
    splits: Splits = None,
    workers: Workers = 1,
    as_json: JsonFlag = False,
) -> None:
    """List every problem of a cohort's files; exit status 1 if there are any."""
    from pathogan_core.cohorts.check import check as check_cohort
    from pathogan_core.cohorts.splits import read_splits

    manifest = _manifest(cohort)
    given = None if splits is None else read_splits(splits)
    with bar("checking", "scan") as progress:
        report = check_cohort(root, manifest, splits=given, workers=workers, progress=progress)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
    elif report.problems:
        for problem in report.problems:
            typer.echo(str(problem.as_error()))
        count = len(report.problems)
        typer.echo(f"{count} problem{'s' if count > 1 else ''}")
    else:
        for label, value in report.summary().items():
            typer.echo(f"{label:<9} {value}")
    if report.problems:
        raise typer.Exit(1)


@app.command()
def prepare(
    cohort: Cohort,
    out: Annotated[Path, typer.Option(help="Folder of the prepared slices.")],
    set_name: SetName = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the cohort.")] = None,
    simulate: Annotated[
        int | None,
        typer.Option(help="Instead of --root: this many simulated patients of the wanted grades."),
    ] = None,
    normals: Normals = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated cohort.")] = 0,
    sizes: Annotated[str | None, typer.Option(help="Image sizes, e.g. 128,64.")] = None,
    grades: Annotated[
        str | None, typer.Option(help="Grades, e.g. HGG,LGG, unknown or metastases.")
    ] = None,
    first_slice: Annotated[int | None, typer.Option(help="First slice of the set's plane.")] = None,
    last_slice: Annotated[int | None, typer.Option(help="Last slice, included.")] = None,
    frame: Annotated[
        int | None,
        typer.Option(help="Centre each slice in a square of so many pixels before shrinking it."),
    ] = None,
    white_percentile: Annotated[
        float | None, typer.Option(help="Of the brain's intensities, mapped to 255.")
    ] = None,
    fractions: Annotated[
        str | None,
        typer.Option(
            help="Shares of train,validation,test: 0.7,0.1,0.2; or one of the set's alternatives, "
            "e.g. printed."
        ),
    ] = None,
    split_seed: Annotated[int | None, typer.Option(help="Another seed, another split.")] = None,
    splits: Splits = None,
    workers: Workers = 1,
) -> None:
    """Cut, normalise and shrink slices; options default to the manifest's choices."""
    if (root is None) == (simulate is None):
        raise PathoganError(
            "needs exactly one of --root and --simulate",
            where="pathogan cohorts prepare",
            remedy="give the cohort's folder, or a number of patients to simulate",
        )
    if simulate is not None and splits is not None:
        raise PathoganError(
            "has no effect with --simulate", where="--splits", remedy="use --fractions"
        )
    if root is not None and normals is not None:
        raise PathoganError("has no effect with --root", where="--normals", remedy="leave it out")
    manifest = _manifest(cohort)
    named = fractions in manifest.preparation(set_name).split.alternatives
    parameters = changed(
        manifest.parameters(set_name, fractions if named else None),
        grades=listed("grades", grades, str),
        sizes=listed("sizes", sizes, int),
        white_percentile=white_percentile,
        split=None if named else listed("fractions", fractions, float, 3),
        first_slice=first_slice,
        last_slice=last_slice,
        frame=frame,
        split_seed=split_seed,
    )
    with bar("preparing", "scan") as progress:
        if simulate is not None and manifest.simulated.simulator == "metastases":
            from pathogan_core.cohorts.simulated_metastases import prepare_metastases

            prepared = prepare_metastases(
                *(out, simulate, normals or 0, seed, parameters),
                train_only=manifest.preparation(set_name).split.train_only,
                workers=workers,
                progress=progress,
            )
        elif simulate is not None:
            from pathogan_core.cohorts.simulated import prepare_simulated

            _refuse_normals(cohort, normals)
            prepared = prepare_simulated(
                out, simulate, seed, parameters, workers=workers, progress=progress
            )
        else:
            from pathogan_core.cohorts.prepare_folder import prepare_folder

            assert root is not None
            prepared = prepare_folder(
                *(cohort, root, out, parameters),
                preparation=set_name,
                splits=splits,
                workers=workers,
                progress=progress,
            )
    counts = prepared.table.groupby("split")["patient"].nunique().to_dict()
    told = ", ".join(f"{count} {split}" for split, count in sorted(counts.items()))
    typer.echo(
        f"{out}: {prepared.info['slices']} images a sequence from {prepared.info['scans']} "
        f"{prepared.source} scans ({told} patients), sizes {', '.join(map(str, prepared.sizes))}"
    )


@app.command()
def classes(
    cohort: Cohort,
    prepared: Annotated[Path, typer.Option(help="Folder of prepared slices.")],
    set_name: SetName = None,
    tumour_rule: Annotated[str, typer.Option(help="any, core or enhancing tissue.")] = "any",
    tumour_voxels: Annotated[int, typer.Option(help="Voxels of it in a tumour slice.")] = 1,
    every: Annotated[int, typer.Option(help="Use each n-th slice only.")] = 1,
    brain_fraction: Annotated[float, typer.Option(help="Least share of brain, 0 to 1.")] = 0.0,
    as_json: JsonFlag = False,
) -> None:
    """Count tumour and non-tumour slices by a rule, beside the thesis' counts if it prints any."""
    from pathogan_core.cohorts.prepared import PreparedSlices
    from pathogan_core.cohorts.slice_classes import SliceClasses

    printed = _manifest(cohort).preparation(set_name).expected.classes
    rule = SliceClasses(tumour_rule, tumour_voxels, every, brain_fraction)
    slices = PreparedSlices.open(prepared)
    counts = rule.counts(slices.table)
    thesis = {} if printed is None else printed.model_dump()
    if as_json:
        typer.echo(json.dumps({"source": slices.source, "counts": counts, "thesis": thesis}))
        return
    typer.echo(f"{prepared}: {slices.source} slices")
    for split, row in counts.items():
        beside = f"  (thesis: {_told(thesis[split])})" if split in thesis else ""
        typer.echo(f"  {split:<11}{_told(row)}{beside}")


def _told(row: Mapping[str, int]) -> str:
    return (
        f"{row['tumour']:,} tumour, {row['non_tumour']:,} non-tumour of {row['patients']} patients"
    )


@app.command()
def nodules(
    cohort: Annotated[str, typer.Argument(help="lidc-idri.")],
    out: Annotated[Path, typer.Option(help="CSV file to write.")],
) -> None:
    """List every reader's mark, and which mean the same nodule; positions in mm from voxel 0."""
    from pathogan_core.cohorts.lidc_marks import read_marks
    from pathogan_core.cohorts.lidc_nodules import nodule_table
    from pathogan_core.cohorts.lidc_nodules import nodules as grouped
    from pathogan_core.files import atomic_write

    if cohort.replace("_", "-") != "lidc-idri":
        raise PathoganError("has no readers' marks", where=cohort, remedy="choose lidc-idri")
    table = nodule_table(grouped(read_marks()))
    with atomic_write(out, "w") as handle:
        table.to_csv(handle, index=False, float_format="%.6f")
    typer.echo(
        f"{out}: {len(table):,} marks of {table['nodule'].nunique():,} nodules "
        f"in {table['series'].nunique():,} scans"
    )


def _manifest(cohort: str) -> Manifest:
    from pathogan_core.cohorts.manifest import load_manifest

    return load_manifest(cohort)
