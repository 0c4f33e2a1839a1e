"""The distribution measures of a finished run, for its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from pathogan_core.experiments.store import Measurement, Run
from pathogan_core.files import sha256_of_file


def distribution_measurement(
    held_out: Mapping[str, Any],
    generated: int,
    seed: int,
    sides: Callable[[Run], Mapping[str, Any]],
) -> Measurement | None:
    """How a run is held against real images; None on a bare server without torch-fidelity.

    Args:
        held_out: provenance of the held-out images.
        generated: how many generated images are measured.
        seed: of what is drawn while measuring.
        sides: what `evaluation.fidelity.measure` is given of a run besides the seed. Images are
            loaded there, so that a run that is measured already costs none.
    """
    if find_spec("torch_fidelity") is None:
        return None
    from pathogan_core.evaluation import fidelity
    from pathogan_core.evaluation.features import COMMITTED_WEIGHTS

    def measure(run: Run) -> dict[str, dict[str, Any]]:
        found = fidelity.measure(**sides(run), seed=seed)
        return {name: metric.as_json() for name, metric in found.items()}

    measured_with = {
        "held_out": dict(held_out),
        "feature_network": sha256_of_file(COMMITTED_WEIGHTS),
        "generated": generated,
        "seed": seed,
        "revision": fidelity.REVISION,
    }
    return Measurement(measured_with, measure)
