"""A box that the reader drags over a generated slice: HTML that needs no server and no network.

Every answer is computed beforehand and lies in one picture; the script shows the tile that belongs
to the box, and how it differs from the tile without a box. Where there is a kernel to ask,
`draggable` shows `box_widget.BoxWidget` instead, for any box.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from pathogan_core.figures.images import contact_sheet

SHEET_COLUMNS = 16
CHANGE_GAIN = 2.0
"""What the difference is multiplied by, to be seen."""
SCRIPT = Path(__file__).with_name("box_player.js").read_text(encoding="utf-8")
STYLE = Path(__file__).with_name("box_player.css").read_text(encoding="utf-8")

Answer = Callable[[np.ndarray], np.ndarray]
"""Boxes ``[n, 4]`` in pixels, none or one, to the slice uint8 ``[S, S]`` that is drawn for them."""


@dataclass(frozen=True, eq=False)
class BoxPlayer:
    """Shown by Jupyter and by the book through `_repr_html_`.

    Args:
        images: uint8 ``[sides, rows, columns, S, S]``, one for each box.
        boxes: ``[sides, rows, columns, 4]`` in pixels.
        nothing: uint8 ``[S, S]``, the same latent without a box.
        pixel_mm: side of a pixel.
        alt: what is shown, in words.
    """

    images: np.ndarray
    boxes: np.ndarray
    nothing: np.ndarray
    pixel_mm: float
    alt: str

    @property
    def first(self) -> tuple[int, int, int]:
        """Side, row and column of the box that is shown first: off the middle, where it is seen."""
        sides, rows, columns = self.boxes.shape[:3]
        return sides // 2, rows // 3, columns // 4

    def _repr_html_(self) -> str:
        size = self.nothing.shape[0]
        tiles = np.concatenate([self.images.reshape(-1, size, size), self.nothing[None]])
        missing = -len(tiles) % SHEET_COLUMNS
        tiles = np.concatenate([tiles, np.zeros((missing, size, size), np.uint8)])
        sheet = base64.b64encode(contact_sheet(tiles, SHEET_COLUMNS)).decode()
        shape = self.boxes.shape[:3]
        ranges = {
            name: {"min": 0, "max": count - 1, "step": 1, "value": value}
            for name, count, value in zip(("side", "row", "column"), shape, self.first, strict=True)
        }
        data = {
            "size": size,
            "mm": self.pixel_mm,
            "gain": CHANGE_GAIN,
            "ranges": {name: ranges[name] for name in ("column", "row", "side")},
            "columns": SHEET_COLUMNS,
            "shape": list(shape),
            "boxes": np.round(self.boxes.reshape(-1, 4), 2).tolist(),
        }
        name = "box-player-" + hashlib.sha256(sheet.encode()).hexdigest()[:8]
        return _HTML.substitute(
            name=name,
            alt=escape(self.alt, quote=True),
            style=STYLE,
            script=SCRIPT,
            sheet=sheet,
            data=json.dumps(data),
        )


def draggable(player: BoxPlayer, answer: Answer) -> Any:
    """The player, or in a live JupyterLab a `box_widget.BoxWidget` that asks `answer`.

    A notebook that is run to be stored or put on a page has the player: a widget would be dead
    there. So has a JupyterLab without anywidget.
    """
    if not (_reader_is_there() and find_spec("anywidget")):
        return player
    from pathogan_core.figures.box_widget import BoxWidget

    return BoxWidget(answer, player.boxes[player.first], player.pixel_mm, player.alt)


def _reader_is_there() -> bool:
    """Whether the running cell was sent by JupyterLab, or another that says which cell it is.

    What runs notebooks by itself (papermill, nbval, Jupyter Book) does not say.
    """
    if not find_spec("IPython"):
        return False
    from IPython import get_ipython  # type: ignore[attr-defined]

    request: dict[str, Any] = getattr(get_ipython(), "get_parent", dict)()
    return "cellId" in request.get("metadata", {})


_HTML = Template("""<div id="$name" class="box-player" role="group" aria-label="$alt"></div>
<style>
$style</style>
<script>
(() => {
$script
const root = document.getElementById("$name"), data = $data;
const [, rows, columns] = data.shape, { size, boxes } = data;
const sheet = new Image();
const number = ({ column, row, side }) => (side * rows + row) * columns + column;
const tile = (number) => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const x = (number % data.columns) * size, y = Math.floor(number / data.columns) * size;
  pen.drawImage(sheet, x, y, size, size, 0, 0, size, size);
  return pen.getImageData(0, 0, size, size).data.filter((_, i) => i % 4 === 0);
};
const placeAt = (x, y, side) => {
  const away = ([left, top, right, bottom]) =>
    Math.hypot((left + right) / 2 - x, (top + bottom) / 2 - y);
  const first = side * rows * columns;
  let best = 0;
  for (let i = 1; i < rows * columns; i++)
    if (away(boxes[first + i]) < away(boxes[first + best])) best = i;
  return { column: best % columns, row: Math.floor(best / columns) };
};
const player = boxPlayer(root, {
  ...data,
  placeAt,
  boxAt: (place) => boxes[number(place)],
  changed: (place) => {
    if (!sheet.complete || !sheet.naturalWidth) return;
    player.answer(tile(place ? number(place) : boxes.length), tile(boxes.length));
  },
});
sheet.addEventListener("load", player.update);
sheet.src = "data:image/png;base64,$sheet";
})();
</script>""")
