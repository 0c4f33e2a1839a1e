"""Section 6's labels of a nodule, size and attenuation, and how LIDC-IDRI's nodules share them out.

The thesis labelled its nodules itself. Size is a matter of the diameter. For attenuation LIDC-IDRI
has only its readers' rating of texture, 1 (ground glass) to 5 (solid): how that becomes a class is
a choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median_high

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pathogan_core.errors import PathoganError

SIZES = ("small", "medium", "large")
MEDIUM_ABOVE_MM = 10.0
LARGE_ABOVE_MM = 20.0
ATTENUATIONS = ("solid", "part_solid", "ggn")
"""GGN: ground-glass nodule."""
GGN_UP_TO = 2
SOLID_FROM = 4
"""Ratings of texture; the thesis does not say. Between the two a nodule is part-solid."""


def size_class(diameter_mm: ArrayLike) -> NDArray[np.str_]:
    """One of `SIZES` for each diameter: small up to 10 mm, medium up to 20 mm, else large.

    Raises:
        PathoganError: a diameter that is not a positive number.
    """
    diameters = np.asarray(diameter_mm, np.float64)
    _check(diameters, (diameters > 0) & np.isfinite(diameters), "diameter_mm", "give mm above 0")
    return np.select(
        [diameters <= MEDIUM_ABOVE_MM, diameters <= LARGE_ABOVE_MM], SIZES[:2], SIZES[2]
    )


def attenuation_class(texture: ArrayLike) -> NDArray[np.str_]:
    """One of `ATTENUATIONS` for each rating of texture: 1-2 are GGN, 3 part-solid, 4-5 solid.

    Raises:
        PathoganError: a rating outside 1 to 5.
    """
    ratings = np.asarray(texture, np.float64)
    _check(ratings, (ratings >= 1) & (ratings <= 5), "texture", "give ratings from 1 to 5")
    solid, part_solid, ggn = ATTENUATIONS
    return np.select([ratings >= SOLID_FROM, ratings <= GGN_UP_TO], [solid, ggn], part_solid)


def _check(values: NDArray[np.float64], valid: NDArray[np.bool_], name: str, remedy: str) -> None:
    if not valid.all():
        raise PathoganError(f"is {values[~valid].flat[0]:g}", where=name, remedy=remedy)


def labelled_nodules(marks: pd.DataFrame) -> pd.DataFrame:
    """One row per nodule: `series`, `patient`, `nodule`, `readers`, and what its marks agree on.

    `diameter_mm` is the marks' mean and gives `size`; `texture` is their median, of two in the
    middle the higher, and gives `attenuation`. `readers` is the number of marks: in a few groups
    more than four, since marks of neighbours could not be told apart.

    Args:
        marks: a row per mark, as `lidc_nodules.nodule_table` gives them.
    """
    table = marks.groupby("nodule", sort=False, as_index=False).agg(
        series=("series", "first"),
        patient=("patient", "first"),
        readers=("mark", "size"),
        diameter_mm=("diameter_mm", fmean),
        texture=("texture", median_high),
    )
    return table.assign(
        size=size_class(table["diameter_mm"]), attenuation=attenuation_class(table["texture"])
    )


def label_counts(
    nodules: pd.DataFrame, least_readers: Sequence[int] = (1, 2, 3, 4)
) -> pd.DataFrame:
    """How many nodules bear each label, a row for each agreement asked for.

    Args:
        nodules: as `labelled_nodules` gives them.
        least_readers: counted are nodules with at least so many marks.

    Returns:
        Index `least_readers`; columns `nodules`, `marks`, then `SIZES` and `ATTENUATIONS`.
    """
    rows = []
    for least in least_readers:
        agreed = nodules[nodules["readers"] >= least]
        sizes, attenuations = (agreed[kind].value_counts() for kind in ("size", "attenuation"))
        rows.append(
            {"least_readers": least, "nodules": len(agreed), "marks": int(agreed["readers"].sum())}
            | {name: int(sizes.get(name, 0)) for name in SIZES}
            | {name: int(attenuations.get(name, 0)) for name in ATTENUATIONS}
        )
    return pd.DataFrame(rows).set_index("least_readers")
