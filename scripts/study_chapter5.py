"""Study runs of chapter 5: CPGGANs, without and with normal subjects, and the arms' detectors."""

from __future__ import annotations

from typing import Any

from pathogan_core.experiments import growing
from pathogan_core.experiments.chapter5 import (
    answering,
    arms,
    detecting,
    mapping,
    measuring,
    placing,
    reporting,
    showing,
    sweeping,
)
from pathogan_core.experiments.chapter5.data import Chapter
from pathogan_core.experiments.chapter5.parameters import Parameters
from pathogan_core.experiments.store import Run
from pathogan_core.figures.images import contact_sheet

PARAMETERS = "ch5_cpggan.study.yaml"
SAMPLES, COLUMNS, STAGES = 64, 8, 18
"""Images of a sheet, in its rows, and moments of growth that are kept."""


def study(setup: str, parameters: dict[str, Any]) -> tuple[Run, dict[str, bytes]]:
    """Make (or find, or resume) what `setup` names, with all that it rests on.

    Args:
        setup: e.g. ``cpggan-normal-64``, ``map-lesions`` or ``arm-cpggan-normal-4k-seed0``.

    Returns:
        The run, and what else of it is committed, by file name.
    """
    chapter = Chapter.open(Parameters.from_notebook(parameters), progress=True)
    if parts := detecting.parts_of_arm_setup(setup):
        return _arm(chapter, *parts)
    if setup == mapping.SETUP:
        mapped = mapping.lesion_map(chapter)
        return mapped, {mapping.MAP: (mapped.folder / mapping.MAP).read_bytes()}
    run = measuring.measured(chapter, setup.rsplit("-", 1)[0])
    return run, _gan(chapter, run)


def _arm(chapter: Chapter, arm: str, seed: int) -> tuple[Run, dict[str, bytes]]:
    """What is found in the annotated test slices; of the baseline also some of these slices."""
    run = arms.train_arm(chapter, arm, seed)
    found = answering.answers(run).among("annotated")
    files = {answering.DETECTIONS: answering.packed(found, chapter.parameters.image_size)}
    if arm == arms.BASELINE:
        files[showing.SLICES] = contact_sheet(showing.spread_images(chapter), COLUMNS)
    return run, files


def _gan(chapter: Chapter, run: Run) -> dict[str, bytes]:
    """Samples and the boxes they were asked for, one box moved about, and a CPGGAN's growth."""
    boxes, _ = placing.asked(chapter, SAMPLES)
    images = placing.fill(run, boxes, chapter.parameters.seed)
    moved = sweeping.sweep(run, chapter.parameters.seed).sheet
    files = {
        reporting.SAMPLES: contact_sheet(images, COLUMNS),
        reporting.BOXES: reporting.packed_boxes(boxes),
        reporting.SWEEP: contact_sheet(moved, 1),
    }
    if run.record.method == "cpggan":
        growth = placing.cpggan_config_of(run).growth
        files[growing.GROWTH] = growing.chosen_previews(run, growth, STAGES)
    return files
