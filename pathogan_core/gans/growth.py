"""When a progressively growing GAN grows, counted in real images (Karras et al. 2018, A.1)."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from pathogan_core.errors import PathoganError


@dataclass(frozen=True)
class Stage:
    """What the networks are at one moment.

    Args:
        level: 0 at 4x4, one more for every doubling.
        alpha: weight of the newest level while it fades in; 1 outside of fades.
    """

    level: int
    alpha: float = 1.0

    @property
    def resolution(self) -> int:
        """Pixels along an edge."""
        return 4 << self.level


@dataclass(frozen=True)
class Growth:
    """Level, alpha and batch size as pure functions of the real images that the critic has seen.

    Phases alternate: level 0 is trained, level 1 fades in, is trained alone ("stabilised"), level
    2 fades in, ... A phase begins with the first round at or after its boundary; boundaries stay
    where they are whatever the batch sizes. The last level stays until the run ends.

    Args:
        levels: of the full networks; 7 for 256 px.
        stable_images: real images of every phase in which a level stands alone.
        fade_images: real images of every fade; 0: levels appear at once.
        batch_sizes: by level, from 4x4 on; the last one holds for all further levels.

    Raises:
        PathoganError: a count is not positive.
    """

    levels: int
    stable_images: int
    fade_images: int
    batch_sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        for name, value, least in (
            ("levels", self.levels, 1),
            ("stable_images", self.stable_images, 1),
            ("fade_images", self.fade_images, 0),
            ("batch_sizes", min(self.batch_sizes, default=0), 1),
        ):
            if value < least:
                raise PathoganError(
                    f"{value} is too small", where=name, remedy=f"give {least} or more"
                )

    @property
    def boundaries(self) -> list[int]:
        """Images at which phases begin, the first one's 0 left out: a fade, a stabilisation, ..."""
        period = self.fade_images + self.stable_images
        fades = [self.stable_images + period * n for n in range(self.levels - 1)]
        return [boundary for begin in fades for boundary in (begin, begin + self.fade_images)]

    @property
    def images(self) -> int:
        """Where the last level has been stabilised for `stable_images`."""
        return self.levels * self.stable_images + (self.levels - 1) * self.fade_images

    def phase(self, images: int) -> int:
        """0 while level 0 is trained; 2 L - 1 while level L fades in, 2 L while it stands alone."""
        return bisect_right(self.boundaries, images)

    def at(self, images: int) -> Stage:
        """The stage of a round that begins after `images` real images."""
        phase = self.phase(images)
        level, fading = (phase + 1) // 2, phase % 2 == 1
        alpha = (images - self.boundaries[phase - 1]) / self.fade_images if fading else 1.0
        return Stage(level, alpha)

    @property
    def level_batch_sizes(self) -> tuple[int, ...]:
        """One batch size for each level."""
        missing = max(0, self.levels - len(self.batch_sizes))
        return (*self.batch_sizes, *self.batch_sizes[-1:] * missing)[: self.levels]

    def batch_size(self, images: int) -> int:
        """Of a round that begins after `images` real images, over all ranks."""
        return self.level_batch_sizes[self.at(images).level]

    def changes_phase(self, before: int, after: int) -> bool:
        """Whether a level begins or ends its fade between two numbers of images."""
        return self.phase(before) != self.phase(after)

    def steps(self, images: int, batches: int = 1) -> int:
        """Rounds of `batches` batches each until at least `images` real images have been seen."""
        seen = steps = 0
        for end in [*(min(boundary, images) for boundary in self.boundaries), images]:
            size = batches * self.batch_size(seen)
            rounds = max(0, -(-(end - seen) // size))
            steps, seen = steps + rounds, seen + rounds * size
        return steps


def equal_phases(images: int, levels: int) -> int:
    """Real images of each phase if a run of `images` is all of them, equally long."""
    return images // (2 * levels - 1)
