"""The skeleton of a simulated thorax: spine, ribs, sternum, clavicles, shoulder blades."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathogan_core.cohorts.thorax_body import (
    Body,
    Build,
    back_of_cavity,
    middle_of_body,
)
from pathogan_core.cohorts.thorax_grid import (
    NEAR,
    REACH,
    SHAPE,
    Window,
    X,
    Z,
    axes_of,
    bump,
    ellipsoid,
    lower_to_tube,
    polyline,
    ramp,
    window,
)

RIBS = 12
BODY_WIDTH, BODY_DEPTH = 17.0, 14.0
"""Half extents of a vertebral body in mm."""


@dataclass(frozen=True)
class Skeleton:
    """Signed distances in mm on the grid, negative inside.

    Attributes:
        bone: of all bones.
        cartilage: of the ribs' front ends and of the discs.
        canal: of the spinal canal.
        column: of the vertebral bodies and their discs, which the lungs keep clear of.
    """

    bone: np.ndarray
    cartilage: np.ndarray
    canal: np.ndarray
    column: np.ndarray


def make_skeleton(rng: np.random.Generator, build: Build, body: Body) -> Skeleton:
    """The skeleton of one body."""
    bone = np.full(SHAPE, NEAR, np.float32)
    cartilage = np.full(SHAPE, NEAR, np.float32)
    pitch = 22.5 * build.height * rng.uniform(0.97, 1.03)
    first = build.apex - rng.uniform(-4, 8)
    add_ribs(rng, build, body, bone, cartilage, pitch, first)
    canal, column = add_spine(rng, build, bone, cartilage, pitch, first)
    add_sternum(rng, build, body, bone)
    add_shoulders(rng, build, body, bone)
    return Skeleton(bone, cartilage, canal, column)


def add_ribs(
    rng: np.random.Generator,
    build: Build,
    body: Body,
    bone: np.ndarray,
    cartilage: np.ndarray,
    pitch: float,
    first: float,
) -> None:
    """Twelve ribs a side, which run down and forward on the cavity's wall."""
    near = np.flatnonzero(np.abs(body.cavity - 5.5) < 10)
    z, _, x = np.unravel_index(near, SHAPE)
    outward = body.cavity.ravel()[near] - 5.5
    height = Z.ravel()[z]
    angle = body.angle.ravel()[near]
    left = X.ravel()[x] > middle_of_body(build, height)
    hard = np.full(near.size, NEAR, np.float32)
    soft = np.full(near.size, NEAR, np.float32)
    for side in (False, True):
        here = np.flatnonzero(left == side)
        a, u, h = angle[here], outward[here], height[here]
        for rib in range(RIBS):
            start = first - pitch * rib + rng.normal(0, 1.2)
            drop = build.height * (46 + 44 * np.sin(min(rib / 7, 1) * np.pi / 2))
            drop *= rng.uniform(0.94, 1.06)
            end = np.interp(rib, (0, 5, 8, 9, 10, 11), (2.6, 2.5, 2.25, 2.05, 1.6, 1.1))
            end += rng.normal(0, 0.05)
            course = start - drop * (1 - np.cos(np.minimum(a, end) * 1.12)) / 1.9
            # Beyond the rib's end cartilage climbs towards the sternum.
            course = course + 58 * build.height * np.clip(a - end, 0, None) * min(rib / 6, 1)
            tall = 6.4 + 0.5 * rng.normal()
            thick = 3.5 + 0.25 * rng.normal()
            slope = 0.8  # a rib falls by about this much across its own height
            across = (h - course) * slope
            level = ((u / thick) ** 2 + (across / tall) ** 2 - 1) * thick / 2
            hard[here] = np.minimum(hard[here], np.maximum(level, 34 * (a - end)))
            if rib < 10:
                edge = np.maximum(34 * (end - a), 40 * (a - 2.95))
                soft[here] = np.minimum(soft[here], np.maximum(level, edge))
    bone.ravel()[near] = np.minimum(bone.ravel()[near], hard)
    cartilage.ravel()[near] = np.minimum(cartilage.ravel()[near], soft)


def add_spine(
    rng: np.random.Generator,
    build: Build,
    bone: np.ndarray,
    cartilage: np.ndarray,
    pitch: float,
    first: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Vertebrae and discs; returns the distances to the canal and to the column."""
    canal = np.full(SHAPE, NEAR, np.float32)
    column = np.full(SHAPE, NEAR, np.float32)
    half_width = 55.0
    low = float(back_of_cavity(build, Z).min()) - 40
    part = window((Z[0, 0, 0], low, -half_width), (Z[-1, 0, 0], 150, half_width))
    z, y, x = axes_of(part)
    grown = (0.86 + 0.0011 * (build.apex - z)) * build.width / 128
    x = x - middle_of_body(build, z)
    y = y - (back_of_cavity(build, z) - 13)
    phase = (first - z) / pitch
    within = (phase - np.rint(phase)) * pitch  # height about the nearest vertebra's middle
    waist = 1 - 0.06 * np.cos(2 * np.pi * within / pitch)

    flat = np.where(y > 0, y * 1.12, y)
    body = (x / (BODY_WIDTH * waist * grown)) ** 2 + (flat / (BODY_DEPTH * waist * grown)) ** 2
    body = (np.sqrt(body) - 1) * BODY_DEPTH
    gap = 0.10 * pitch * rng.uniform(0.9, 1.3)
    vertebra = np.maximum(body, np.abs(within) - (pitch / 2 - gap))
    back = y - 23 * grown
    ring = np.sqrt((x / 1.15) ** 2 + back**2)
    hollow = ring - 8.0 * grown
    solid = np.abs(within + 1) - 0.33 * pitch
    arch = np.maximum(np.abs(ring - 10.6 * grown) - 2.3, solid)
    tilt = within + 0.55 * (back - 10)
    spinous = np.maximum(np.maximum(np.abs(x) - 2.7, np.abs(tilt) - 7), np.abs(back - 22) - 13)
    reach = np.abs(x)
    wing = np.hypot(back - 1 - 0.35 * (reach - 12), within - 3) - 4.3
    transverse = np.maximum(np.maximum(wing, reach - 34 * grown), 10 - reach)
    pieces = np.minimum(np.minimum(vertebra, arch), np.minimum(spinous, transverse))
    pieces = np.maximum(pieces, -hollow)
    bone[part] = np.minimum(bone[part], pieces)
    cartilage[part] = np.minimum(cartilage[part], body)
    canal[part] = hollow
    column[part] = np.minimum(body, np.minimum(np.maximum(ring - 14 * grown, -12), wing + 1))
    return canal, column


def add_sternum(rng: np.random.Generator, build: Build, body: Body, bone: np.ndarray) -> None:
    """A plate in front, wide above (manubrium) and narrow below."""
    top = 0.70 * build.apex
    bottom = top - 165 * build.height
    part = window((bottom - 20, -REACH[1], -60), (top + 20, 0, 60))
    z, _, x = axes_of(part)
    across = np.abs(x - middle_of_body(build, z))
    share = np.clip((top - z) / (top - bottom), 0, 1)
    half = 15 + 14 * ramp(-share, -0.32, -0.12) - 9 * ramp(share, 0.85, 1)
    depth = body.trunk[part] - 7.5 * rng.uniform(0.9, 1.1)
    plate = np.hypot(np.maximum(across - half + 5, 0) * 0.9, depth) - 5.2
    plate = np.where(body.angle[part] > 2, plate, NEAR)
    ends = np.maximum(z - top, bottom - z)
    joint = 1.6 - np.abs(z - (top - 50 * build.height))  # between manubrium and body
    bone[part] = np.minimum(bone[part], np.maximum(np.maximum(plate, ends), joint))


def add_shoulders(rng: np.random.Generator, build: Build, body: Body, bone: np.ndarray) -> None:
    """Shoulder blades, clavicles and the heads of raised arms, each side a little different."""
    for side in (-1.0, 1.0):
        lift = rng.normal(6, 6)
        add_blade(build, body, bone, side, lift)
        top = build.apex
        front = float(back_of_cavity(build, 0.7 * top)) - 1.64 * build.depth
        w = build.width / 128
        clavicle = [
            (0.66 * top, front + 14, side * 24 * w, 6.5),
            (0.78 * top + 0.4 * lift, front + 8, side * 55 * w, 5.4),
            (0.95 * top + lift, front + 32, side * 92 * w, 5.2),
            (1.14 * top + lift, front + 58, side * 122 * w, 5.6),
        ]
        lower_to_tube(bone, polyline(clavicle))
        head = (top + 38 + lift, front + 66, side * 150 * w)
        part = window([c - 40 for c in head], [c + 40 for c in head])
        bone[part] = np.minimum(bone[part], ellipsoid(part, head, (25, 23, 22)))
        arm = [(*head, 13), (head[0] + 60, head[1] - 6, head[2] + side * 8, 12)]
        lower_to_tube(bone, polyline(arm))


def add_blade(build: Build, body: Body, bone: np.ndarray, side: float, lift: float) -> None:
    """One shoulder blade: a thin plate in the muscles behind the ribs, with its spine."""
    upper, lower = build.apex + lift, build.apex - 142 * build.height + lift
    low_x, high_x = sorted((side * 20, side * 190))
    part: Window = window((lower - 10, -120, low_x), (upper + 25, 165, high_x))
    z, _, _ = axes_of(part)
    angle, outward = body.angle[part], body.trunk[part]
    share = (upper - z) / (upper - lower)
    inner = 0.52 + 0.05 * share
    outer = 1.34 - 0.62 * np.clip(share, 0, 1)
    bowed = outward - 15 - 5 * bump(angle, 0.9, 0.3)
    edge = np.maximum(inner - angle, angle - outer) * 105
    rim = 1.5 + 2.2 * bump(edge, -1, 5)
    plate = np.maximum(np.maximum(np.abs(bowed) - rim, edge), np.maximum(lower - z, z - upper))
    crest = np.maximum(np.abs(share - 0.26 + 0.25 * (angle - 0.9)) * (upper - lower) - 3, edge)
    crest = np.maximum(crest, np.abs(bowed - 9) - 9)
    socket = np.sqrt((105 * (angle - 1.32)) ** 2 + (z - upper + 14) ** 2 + bowed**2) - 13
    blade = np.minimum(np.minimum(plate, crest), socket)
    bone[part] = np.minimum(bone[part], np.clip(blade, -NEAR, NEAR))
