"""When a chapter's arms may be compared: the same seeds, the same real images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.store import Run


def check_paired(runs: Mapping[str, Sequence[Run]], baseline: str) -> None:
    """Refuse arms that no paired difference to the baseline can be made of.

    Args:
        runs: by arm, in the same order of seeds.

    Raises:
        PathoganError: no baseline among them, or arms of other seeds or other real images.
    """
    if baseline not in runs:
        remedy = "add it to the parameter arms"
        raise PathoganError("is not among the arms", where=f"baseline {baseline}", remedy=remedy)
    seeds, real = _rests_on(runs[baseline])
    for arm, own in runs.items():
        theirs, images = _rests_on(own)
        if theirs != seeds or any(one != real[0] for one in (*images, *real)):
            problem = "has runs of other seeds or of other real images than the baseline"
            remedy = "run both with one parameter file"
            raise PathoganError(problem, where=f"arm {arm}", remedy=remedy)


def _rests_on(runs: Sequence[Run]) -> tuple[list[int], list[list[dict]]]:
    """Each run's seed, and the training and test images in its record."""
    images = [[run.record.inputs[of] for of in ("images", "test")] for run in runs]
    return [run.record.seed for run in runs], images
