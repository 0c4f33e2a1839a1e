"""What pages call sequences and the metrics of records, and what these cannot say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pathogan_core.errors import PathoganError

Better = Literal["lower", "higher", "near its reference"]
SEQUENCE_LABELS = {"t1": "T1", "t1c": "T1c", "t2": "T2", "flair": "FLAIR"}


@dataclass(frozen=True)
class Description:
    """A label for a table or an axis, the better direction, and the caveat to print with it."""

    label: str
    better: Better
    caveat: str


_OWN_SCALE = "Features of this project's own network: not comparable with published values."
_NEEDS_N = "Depends on n: compare only at the same n."

_VESSELS = "Real slices have vessels: compare with the reference. Knots of texture count too."

_FIXED = {
    "kid": Description("KID", "lower", f"May be slightly negative. {_OWN_SCALE}"),
    "fid": Description("FID", "lower", f"Biased upwards at small n; prefer KID. {_OWN_SCALE}"),
    "precision": Description("Precision", "higher", f"Blind to missing variety. {_NEEDS_N}"),
    "recall": Description("Recall", "higher", f"Blind to implausible images. {_NEEDS_N}"),
    "swd_mean": Description("SWD, mean", "lower", f"Blind to brightness. {_NEEDS_N}"),
    "msssim_fake": Description(
        "MS-SSIM, generated pairs", "near its reference", "Noise lowers it as variety does."
    ),
    "msssim_real": Description(
        "MS-SSIM, real pairs", "near its reference", "Pairs of different patients."
    ),
    "msssim_gap": Description(
        "MS-SSIM gap",
        "near its reference",
        "Above its floor: the generator repeats itself. The floor is a mean absolute difference.",
    ),
    "near_pixels": Description(
        "Nearer to training than 99% of held-out (pixels)",
        "near its reference",
        "0.01 is expected; blurred images raise it without being copies.",
    ),
    "near_features": Description(
        "Nearer to training than 99% of held-out (features)",
        "near its reference",
        "0.01 is expected.",
    ),
    "copied_pixels": Description(
        "Suspected copies (pixels)", "lower", "At most about 0.01 without copying."
    ),
    "copied_features": Description(
        "Suspected copies (features)", "lower", "At most about 0.01 without copying."
    ),
    "sequence_accuracy_real": Description(
        "Sequence classifier, accuracy on held-out real", "higher", "Bounds every share beside it."
    ),
    "sequences_covered": Description(
        "Sequences covered", "higher", "An image that shows nothing is counted as some sequence."
    ),
    "spots": Description(
        "Bright spots outside the boxes, per slice", "near its reference", _VESSELS
    ),
    "spot_area": Description(
        "Brain outside the boxes in bright spots", "near its reference", _VESSELS
    ),
    "spot_threshold": Description(
        "Strength from which a spot counts", "near its reference", "Read from real lesions."
    ),
    "border_share": Description(
        "Brightness left at the box's border",
        "near its reference",
        "Of the centre's; 100% is a box filled evenly. Real boxes are rough and hold one lesion.",
    ),
    "lesion_fill": Description(
        "Share of a rough box that is lesion", "near its reference", "Known of simulated slices."
    ),
    "lesion_contrast": Description(
        "Exact lesion minus its surroundings", "near its reference", "Known of simulated slices."
    ),
}
_REFERENCES = {"patients": "slices of patients", "normal": "slices of normal subjects"}


def describe(name: str) -> Description:
    """The description of a metric by its name in a record.

    Raises:
        PathoganError: no such metric.
    """
    if name in _FIXED:
        return _FIXED[name]
    if name.endswith("_floor"):
        measure = describe(name.removesuffix("_floor"))
        return Description(
            f"{measure.label}, real against real", measure.better, "Disjoint patients, same n."
        )
    if beside := _beside_reference(name):
        return beside
    kind, _, rest = name.partition("_")
    if kind == "swd" and rest.isdigit():
        return Description(f"SWD, {rest} px", "lower", f"Blind to brightness. {_NEEDS_N}")
    sequence, _, side = rest.rpartition("_")
    if kind == "sequence" and sequence and side in ("fake", "real"):
        label = {"fake": "generated", "real": "held-out real"}[side]
        return Description(
            f"Share taken for {sequence}, {label}", "near its reference", "As classified."
        )
    raise PathoganError(f"no metric is called {name!r}", remedy="see evaluation.catalogue")


def _beside_reference(name: str) -> Description | None:
    """Of `spurious` metrics that name what generated slices are held against."""
    measure, _, reference = name.rpartition("_")
    if reference not in _REFERENCES:
        return None
    excess = measure.endswith("_excess")
    measure = measure.removesuffix("_excess")
    if measure not in ("spots", "spot_area"):
        return None
    label, whose = _FIXED[measure].label, _REFERENCES[reference]
    if excess:
        caveat = "Below 0: fewer than real slices have."
        return Description(f"{label}: generated minus {whose}", "near its reference", caveat)
    return Description(f"{label}, real {whose}", "near its reference", _VESSELS)
