"""From anatomy to HU: what every slice of a simulated chest CT shows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pathogan_core.cohorts.thorax_body import Body, Build
from pathogan_core.cohorts.thorax_grid import NEAR, SHAPE, Sampler, ramp, stream, voxel_positions
from pathogan_core.cohorts.thorax_lungs import Lungs
from pathogan_core.cohorts.thorax_organs import Organs
from pathogan_core.cohorts.thorax_placement import PlacedNodule
from pathogan_core.cohorts.thorax_scanner import Reconstruction, Scanner
from pathogan_core.cohorts.thorax_skeleton import Skeleton
from pathogan_core.cohorts.thorax_trees import Samples, fill_slice

AIR_HU, FAT_HU, MUSCLE_HU, SKIN_HU = -1000.0, -103.0, 54.0, 5.0
WALL_HU, FISSURE_HU = -40.0, 95.0
CORTEX_HU = 780.0
LUNG_HU = (-870.0, -830.0)
"""In front and at the back of a patient who lies on the back."""

CORTEX_MM = 1.2
SLAB = 8
"""Slices that are rendered together."""

ROWS = 32
"""Rows that are painted together: few enough to stay in a processor's cache."""

FIELDS = (
    "skin",
    "muscle",
    "cavity",
    "septa",
    "plane",
    "organ",
    "organ_hu",
    "bone",
    "lung",
    "density",
    "oblique",
    "horizontal",
    "airway",
)


@dataclass(frozen=True)
class Contents:
    """What the scan's own voxels hold beyond the coarse grid."""

    vessels: Samples
    walls: Samples
    lumens: Samples
    nodules: tuple[PlacedNodule, ...]


@dataclass(frozen=True)
class Rendering:
    """All that an image is made of."""

    build: Build
    body: Body
    skeleton: Skeleton
    organs: Organs
    lungs: Lungs
    contents: Contents
    scanner: Scanner

    def fields(self) -> np.ndarray:
        """The fields named `FIELDS`, float32 [n, z, y, x] on the grid."""
        body, bones, organs, lungs = self.body, self.skeleton, self.organs, self.lungs
        distances = {
            "skin": body.skin,
            "muscle": body.muscle,
            "cavity": body.cavity,
            "septa": body.septa,
            "plane": body.plane,
            "organ": organs.distance,
            "bone": bones.bone,
            "lung": lungs.distance,
            "oblique": lungs.oblique,
            "horizontal": lungs.horizontal,
            "airway": np.minimum(organs.airway, organs.gas),
        }
        stacked = np.empty((len(FIELDS), *body.skin.shape), np.float32)
        for number, name in enumerate(FIELDS):
            if name in distances:
                np.clip(distances[name], -NEAR, NEAR, out=stacked[number])
        stacked[FIELDS.index("organ_hu")] = organs.hu
        stacked[FIELDS.index("density")] = lungs.density
        return stacked


def render(
    seed: int,
    rendering: Rendering,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    threads: int,
) -> np.ndarray:
    """The scan, int16 HU [z, y, x]; slabs of slices are independent, so threads change nothing."""
    volume = np.empty(shape, np.int16)
    painter = Painter(seed, rendering, shape, spacing)
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda first: painter.paint(volume, first), range(0, shape[0], SLAB)):
            pass
    return volume


class Painter:
    """Renders slabs of slices of one scan."""

    def __init__(
        self,
        seed: int,
        rendering: Rendering,
        shape: tuple[int, int, int],
        spacing: tuple[float, float, float],
    ):
        self.seed, self.rendering, self.shape = seed, rendering, shape
        self.sampler = Sampler(rendering.fields(), shape, spacing)
        pixel = (spacing[1], spacing[2])
        self.reconstruction = Reconstruction(rendering.scanner, (shape[1], shape[2]), pixel)
        self.z = voxel_positions(shape[0], spacing[0])
        self.y = voxel_positions(shape[1], spacing[1])[:, None].astype(np.float32)
        self.x = voxel_positions(shape[2], spacing[2])[None].astype(np.float32)
        self.pixel = np.float32(max(pixel))
        rng = stream(seed, 12)
        self.marrow = float(np.clip(330 - 2.4 * rendering.build.age + rng.normal(0, 25), 90, 320))
        self.aeration = float(rng.normal(0, 14))
        self.blood = 38 + 0.6 * rendering.build.contrast
        self.table = self.draw_table()
        square = (self.x / 150) ** 2 + (self.y / 115) ** 2
        self.noise_level = rendering.scanner.noise * (0.55 + 0.5 * np.exp(-square))

    def paint(self, volume: np.ndarray, first: int) -> None:
        """Render the slab that begins with slice `first`."""
        last = min(first + SLAB, self.shape[0])
        scanner, reconstruction = self.rendering.scanner, self.reconstruction
        side, middle = shares_of_neighbours(scanner.overlap)
        apex = self.rendering.build.apex
        across = np.empty((len(FIELDS), SHAPE[1], self.shape[2]), np.float32)
        block = np.empty((len(FIELDS), ROWS, self.shape[2]), np.float32)
        spectra = [self.white(first - 1), self.white(first)]
        for number in range(first, last):
            spectra = [*spectra[-2:], self.white(number + 1)]
            spectrum = middle * spectra[1]
            if side:
                spectrum += side * (spectra[0] + spectra[2])
            shoulders = float(ramp(self.z[number], 0.6 * apex, 1.05 * apex))
            noise = reconstruction.noise(spectrum, 0.55 * shoulders)
            noise *= self.noise_level * np.float32(1 + 0.7 * shoulders)
            image = reconstruction.blur(self.ideal(number, across, block))
            image += noise
            np.rint(image, out=image)
            volume[number] = np.clip(image, -1024, 3071, out=image)

    def white(self, number: int) -> np.ndarray:
        """The white noise of slice `number`, of which there is one before the first."""
        return self.reconstruction.spectrum(stream(self.seed, 13, number + 1))

    def ideal(self, number: int, across: np.ndarray, block: np.ndarray) -> np.ndarray:
        """HU of one slice before the scanner blurs it, float32 [y, x]; the arrays are scratch."""
        self.sampler.across(number, across)
        contents = self.rendering.contents
        tubes = [
            fill_slice(s, number, self.shape[1:])
            for s in (contents.vessels, contents.walls, contents.lumens)
        ]
        hu = self.table.copy()
        for start in range(0, self.shape[1], ROWS):
            rows = slice(start, min(start + ROWS, self.shape[1]))
            sampled = self.sampler.block(across, rows, block[:, : rows.stop - rows.start])
            field = dict(zip(FIELDS, sampled, strict=True))
            self.paint_tissue(hu[rows], field, self.y[rows], [t[rows] for t in tubes])
        for nodule in contents.nodules:
            self.paint_nodule(hu, number, nodule)
        return hu

    def paint_tissue(
        self, hu: np.ndarray, field: dict[str, np.ndarray], y: np.ndarray, tubes: list[np.ndarray]
    ) -> None:
        """Everything but nodules, from the outside inwards."""
        self.paint_wall(hu, field)
        blend(hu, self.occupied(field["cavity"] - 1.0), FAT_HU)
        blend(hu, self.occupied(field["organ"]), field["organ_hu"])
        lung = self.occupied(field["lung"])
        if lung.any():
            blend(hu, lung, self.parenchyma(field, y))
            for share, value in zip(tubes, (self.blood, WALL_HU, AIR_HU), strict=True):
                blend(hu, lung * share, value)
        inner = self.occupied(field["bone"] + CORTEX_MM)
        blend(hu, self.occupied(field["bone"]), CORTEX_HU + inner * (self.marrow - CORTEX_HU))
        blend(hu, self.occupied(field["airway"]), AIR_HU)

    def occupied(self, distance: np.ndarray) -> np.ndarray:
        """Share of every pixel on the inner side of a surface."""
        share = distance * (-1 / self.pixel)
        share += 0.5
        return np.clip(share, 0, 1, out=share)

    def paint_wall(self, hu: np.ndarray, field: dict[str, np.ndarray]) -> None:
        """Skin, fat below it, and muscles with fat between them."""
        blend(hu, self.occupied(field["skin"]), SKIN_HU)
        blend(hu, self.occupied(field["skin"] + 1.7), FAT_HU)
        sheets = np.clip(1.2 - np.abs(field["septa"]) / 0.11, 0, 1)
        sheets = np.maximum(sheets, np.clip(1.3 - np.abs(field["plane"]) / 1.3, 0, 1))
        sheets *= np.clip((field["cavity"] - 6) / 3, 0, 1)
        blend(hu, self.occupied(field["muscle"]) * (1 - 0.6 * sheets), MUSCLE_HU)

    def parenchyma(self, field: dict[str, np.ndarray], y: np.ndarray) -> np.ndarray:
        """HU of aerated lung: denser at the back, with faint fissures."""
        front, back = LUNG_HU
        depth = self.rendering.build.depth
        hu = field["density"] + (front + self.aeration)
        hu += (back - front) * np.clip((y + 0.8 * depth) / (1.6 * depth), 0, 1)
        oblique = np.exp(-((field["oblique"] / 0.7) ** 2))
        upper = np.clip(field["oblique"], 0, 1)
        hu += FISSURE_HU * np.maximum(oblique, upper * np.exp(-((field["horizontal"] / 0.7) ** 2)))
        return hu

    def paint_nodule(self, hu: np.ndarray, number: int, placed: PlacedNodule) -> None:
        """One nodule's part of a slice; what is denser than ground glass shows through it."""
        z, y, x = placed.corner
        if not z <= number < z + placed.mask.shape[0]:
            return
        _, rows, columns = placed.mask.shape
        here = hu[y : y + rows, x : x + columns]
        within = placed.hu[number - z]
        here += placed.occupancy[number - z] * np.maximum(within - here, 0)

    def draw_table(self) -> np.ndarray:
        """The table below the patient in air, float32 [y, x]; the same in every slice."""
        skin = self.rendering.body.skin
        rows = np.flatnonzero((skin[40:110, :, 60:92] < 0).any(axis=(0, 2)))
        top = float(rows.max() * 3.0 - 165.0) + 5
        half = 212.0
        upper = top - self.x**2 / 1100
        lower = top + 58 * np.sqrt(np.clip(1 - (self.x / half) ** 2, 0, 1)) - self.x**2 / 1100
        inside = np.abs(self.x) < half
        hu = np.full(self.shape[1:], AIR_HU, np.float32)
        blend(hu, self.occupied(np.maximum(upper - self.y, self.y - lower)) * inside, -955.0)
        for surface in (upper, lower):
            blend(hu, self.occupied(np.abs(self.y - surface) - 0.9) * inside, -180.0)
        return hu


def blend(hu: np.ndarray, share: np.ndarray, value: np.ndarray | float) -> None:
    """Replace a share of every pixel by a tissue, in place."""
    hu += share * (value - hu)


def shares_of_neighbours(overlap: float) -> tuple[float, float]:
    """Weights of the noise of a slice's neighbours and its own, for a correlation of `overlap`."""
    # (s, m, s) with 2 s² + m² = 1 has a correlation of 2 s m at one slice's distance.
    side = float(np.sqrt((1 - np.sqrt(max(1 - 2 * overlap**2, 0))) / 4))
    return side, float(np.sqrt(1 - 2 * side**2))
