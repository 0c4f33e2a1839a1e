"""One simulated chest CT in HU, with nodules where they are wanted.

A scan is a function of its seed, shape, spacing and nodules, and of nothing else. The anatomy is a
function of the seed alone, in millimetres: another spacing shows the same chest.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pathogan_core.cohorts.thorax_body import Body, Build, draw_build, make_body
from pathogan_core.cohorts.thorax_grid import stream
from pathogan_core.cohorts.thorax_image import Contents, Rendering, render
from pathogan_core.cohorts.thorax_lungs import Lungs, make_lungs
from pathogan_core.cohorts.thorax_nodules import Nodule, spicules
from pathogan_core.cohorts.thorax_organs import Organs, make_organs
from pathogan_core.cohorts.thorax_placement import PlacedNodule, find_places, put
from pathogan_core.cohorts.thorax_scanner import draw_scanner
from pathogan_core.cohorts.thorax_skeleton import Skeleton, make_skeleton
from pathogan_core.cohorts.thorax_trees import Branches, bronchi_beside, grow, join, sample
from pathogan_core.errors import PathoganError

REVISION: int = 1
"""Bump whenever the voxels of a given (seed, shape, spacing, nodules) change."""

VEINS_FROM_ARTERIES = np.array([-16.0, -6.0, 0.0])
"""Where veins leave a lung from where arteries enter it, z, y, x in mm."""


@dataclass(frozen=True)
class Thorax:
    """The anatomy of one simulated person, in mm; the parts say more."""

    build: Build
    body: Body
    skeleton: Skeleton
    organs: Organs
    lungs: Lungs
    arteries: Branches
    veins: Branches
    walls: Branches
    lumens: Branches


@dataclass(frozen=True)
class SimulatedScan:
    """One simulated chest CT.

    Attributes:
        volume: HU, int16 [z, y, x] in LPS.
        spacing: z, y, x in mm.
        nodules: the truth, in the order in which they were asked for.
        description: what was drawn, JSON-able.
    """

    volume: np.ndarray
    spacing: tuple[float, float, float]
    nodules: tuple[PlacedNodule, ...]
    description: dict


def simulate_thorax(
    seed: int, shape: tuple[int, int, int], spacing: tuple[float, float, float]
) -> np.ndarray:
    """A chest CT without nodules; int16 HU [z, y, x]. See `simulate_scan`."""
    return simulate_scan(seed, shape, spacing).volume


def simulate_scan(
    seed: int,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    nodules: Sequence[Nodule] = (),
    *,
    threads: int = 2,
) -> SimulatedScan:
    """A chest CT whose middle is the middle of the chest.

    Args:
        seed: the person, the scanner, the noise.
        shape: voxels z, y, x.
        spacing: z, y, x in mm; 0.5 to 0.9 in plane and up to 3 are usual.
        nodules: what to put into the lungs.
        threads: that render slices side by side; they do not change the voxels.

    Raises:
        PathoganError: a negative seed, an empty shape, a spacing out of range, no room for a
            nodule.
    """
    check_scan(seed, shape, spacing)
    thorax = make_thorax(seed)
    half = (np.array(shape) - 1) / 2 * np.array(spacing)
    vessels = join([thorax.arteries, thorax.veins])
    places = find_places(stream(seed, 8), nodules, thorax.body, thorax.lungs, vessels, half)
    placed = tuple(
        put(stream(seed, 9, number), nodule, place, thorax.lungs, shape, spacing)
        for number, (nodule, place) in enumerate(zip(nodules, places, strict=True))
    )
    strands = [
        spicules(stream(seed, 10, number), nodule, place)
        for number, (nodule, place) in enumerate(zip(nodules, places, strict=True))
    ]
    contents = Contents(
        vessels=sample(join([vessels, *strands]), shape, spacing),
        walls=sample(thorax.walls, shape, spacing),
        lumens=sample(thorax.lumens, shape, spacing),
        nodules=placed,
    )
    scanner = draw_scanner(stream(seed, 11), spacing[0])
    rendering = Rendering(
        thorax.build, thorax.body, thorax.skeleton, thorax.organs, thorax.lungs, contents, scanner
    )
    return SimulatedScan(
        volume=render(seed, rendering, shape, spacing, threads),
        spacing=spacing,
        nodules=placed,
        description={"build": thorax.build.describe(), "scanner": scanner.describe()},
    )


def check_scan(seed: int, shape: Sequence[int], spacing: Sequence[float]) -> None:
    """Refuse a scan that cannot be made."""
    if seed < 0:
        raise PathoganError(f"is {seed}", where="seed", remedy="give 0 or more")
    if len(shape) != 3 or min(shape) < 2:
        raise PathoganError(f"is {shape}", where="shape", remedy="give three numbers above 1")
    if len(spacing) != 3 or not all(0.2 <= s <= 12 for s in spacing):
        raise PathoganError(
            f"is {spacing}", where="spacing", remedy="give z, y, x from 0.2 to 12 mm"
        )


@lru_cache(maxsize=1)
def make_thorax(seed: int) -> Thorax:
    """The anatomy of the person with this seed; the last one is remembered."""
    build = draw_build(stream(seed, 1))
    body = make_body(stream(seed, 2), build)
    skeleton = make_skeleton(stream(seed, 3), build, body)
    organs = make_organs(stream(seed, 4), build, body, skeleton)
    lungs = make_lungs(stream(seed, 5), build, body, organs)
    roots = organs.hila
    lower = {side: hilum + VEINS_FROM_ARTERIES for side, hilum in roots.items()}
    with ThreadPoolExecutor(2) as pool:
        arteries = pool.submit(grow, stream(seed, 6), lungs, roots)
        veins = pool.submit(grow, stream(seed, 7), lungs, lower)
        walls, lumens = bronchi_beside(arteries.result(), roots)
        return Thorax(
            build, body, skeleton, organs, lungs, arteries.result(), veins.result(), walls, lumens
        )
