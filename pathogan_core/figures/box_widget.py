"""`box_player` in a live JupyterLab: the generator answers for any box, through the kernel.

Needs anywidget, which the `book` extra installs; `box_player.draggable` imports this file only
where it is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

try:
    import anywidget
    import traitlets
except ImportError as error:
    from pathogan_core.errors import PathoganError

    raise PathoganError(
        "the box's widget needs anywidget", remedy="pip install 'pathogan-core[book]'"
    ) from error

import numpy as np
from numpy.typing import ArrayLike

from pathogan_core import boxes as box_rules
from pathogan_core.errors import PathoganError
from pathogan_core.figures.box_player import CHANGE_GAIN, SCRIPT, STYLE, Answer

SIDES = (0.06, 0.4)
"""Smallest and largest side of a box, as shares of the image's."""


class BoxWidget(anywidget.AnyWidget):
    """Looks like a `BoxPlayer`, and asks `answer` whenever the reader has moved the box.

    Images travel as messages and are no part of the widget's state, so that a notebook that stores
    its widgets stays small.

    Args:
        answer: draws the slice for a box, and for none; always with the same noise.
        box: ``[4]``, a square in pixels, to begin with.
        pixel_mm: side of a pixel.
        alt: what is shown, in words.

    Raises:
        PathoganError: what `answer` draws is no square of uint8, or `box` does not lie in it.
    """

    _esm = SCRIPT + Path(__file__).with_name("box_widget.js").read_text(encoding="utf-8")
    _css = STYLE

    size = traitlets.Int(1).tag(sync=True)
    pixel_mm = traitlets.Float(1.0).tag(sync=True)
    gain = traitlets.Float(CHANGE_GAIN).tag(sync=True)
    ranges = traitlets.Dict().tag(sync=True)
    alt = traitlets.Unicode("").tag(sync=True)

    def __init__(self, answer: Answer, box: ArrayLike, pixel_mm: float, alt: str):
        self._answer = answer
        nothing = answer(np.empty((0, 4)))
        size = len(nothing)
        _check_image(nothing, size)
        least, most = (round(share * size) for share in SIDES)
        left, top, right, bottom = np.asarray(box, float)
        box_rules.check([[left, top, right, bottom]], "box", size, size)
        super().__init__(
            size=size,
            pixel_mm=float(pixel_mm),
            ranges={
                "column": _range(0, size, (left + right) / 2),
                "row": _range(0, size, (top + bottom) / 2),
                "side": _range(least, most, right - left),
            },
            alt=alt,
        )
        self.on_msg(self._receive)

    def _receive(self, _: Any, message: Any, __: list[Any]) -> None:
        """Take `{"view", "boxes"}` and send `{"view"}` with the image, or with a problem."""
        view = message["view"]
        try:
            boxes = np.asarray(message["boxes"], float).reshape(-1, 4)
            box_rules.check(boxes, "box")
            image = self._answer(box_rules.clipped(boxes, self.size, self.size))
            _check_image(image, self.size)
        except PathoganError as error:
            self.send({"view": view, "problem": str(error)})
            return
        self.send({"view": view}, buffers=[image.tobytes()])


def _range(least: float, most: float, value: float) -> dict[str, float]:
    return {"min": least, "max": most, "step": 0.25, "value": float(value)}


def _check_image(image: np.ndarray, size: int) -> None:
    if image.dtype != np.uint8 or image.shape != (size, size):
        raise PathoganError(
            f"is {image.dtype} {list(image.shape)}",
            where="the answer",
            remedy=f"draw uint8 [{size}, {size}]",
        )
