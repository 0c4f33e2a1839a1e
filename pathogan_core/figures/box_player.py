"""A box that the reader drags over a generated slice: HTML that needs no server and no network.

Every answer is computed beforehand and lies in one picture; the script shows the tile that belongs
to the box, and how it differs from the tile without a box.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from html import escape
from string import Template

import numpy as np

from pathogan_core.figures.images import contact_sheet

SHEET_COLUMNS = 16
CHANGE_GAIN = 2.0
"""What the difference is multiplied by, to be seen."""


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

    def _repr_html_(self) -> str:
        size = self.nothing.shape[0]
        tiles = np.concatenate([self.images.reshape(-1, size, size), self.nothing[None]])
        missing = -len(tiles) % SHEET_COLUMNS
        tiles = np.concatenate([tiles, np.zeros((missing, size, size), np.uint8)])
        sheet = base64.b64encode(contact_sheet(tiles, SHEET_COLUMNS)).decode()
        shape = list(self.boxes.shape[:3])
        data = {
            "size": size,
            "columns": SHEET_COLUMNS,
            "shape": shape,
            "boxes": np.round(self.boxes.reshape(-1, 4), 2).tolist(),
            "mm": self.pixel_mm,
            "gain": CHANGE_GAIN,
        }
        name = "box-player-" + hashlib.sha256(sheet.encode()).hexdigest()[:8]
        return _HTML.substitute(
            name=name,
            alt=escape(self.alt, quote=True),
            sheet=sheet,
            data=json.dumps(data),
            sides=shape[0] - 1,
            rows=shape[1] - 1,
            columns=shape[2] - 1,
            side=shape[0] // 2,
            row=shape[1] // 3,
            column=shape[2] // 4,
        )


_HTML = Template("""<div id="$name" class="box-player" role="group" aria-label="$alt">
<style>
.box-player { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; margin: 1rem 0; }
.box-player figure { margin: 0; flex: 1 1 230px; max-width: 340px; }
.box-player canvas { width: 100%; display: block; border-radius: 4px; background: #000; }
.box-player canvas[data-drag] { cursor: move; touch-action: none; }
.box-player figcaption { font-size: 0.85rem; margin-top: 0.3rem; text-align: left;
  color: inherit !important; }
/* The book's theme puts HTML of others on a light ground in the dark. */
html .bd-content .text_html:has(.box-player) { background: transparent !important;
  color: var(--pst-color-text-base) !important; padding: 0; }
.box-player form { flex: 1 1 180px; max-width: 340px; display: grid; gap: 0.4rem;
  font-size: 0.9rem; }
.box-player label { display: grid; }
.box-player label.tick { display: flex; gap: 0.5rem; align-items: center; }
.box-player input[type=range] { width: 100%; }
</style>
<figure><canvas data-drag width="320" height="320"></canvas>
<figcaption>Generated slice. Drag the box.</figcaption></figure>
<figure><canvas width="320" height="320"></canvas>
<figcaption>How it differs from the same noise without a box.</figcaption></figure>
<form>
<label>left to right
<input name="column" type="range" min="0" max="$columns" value="$column"></label>
<label>top to bottom <input name="row" type="range" min="0" max="$rows" value="$row"></label>
<label>size <input name="side" type="range" min="0" max="$sides" value="$side"></label>
<label class="tick"><input name="asked" type="checkbox" checked> ask for a lesion</label>
<label class="tick"><input name="outline" type="checkbox" checked> show the box</label>
<output aria-live="polite"></output>
</form>
<script>
(() => {
  const root = document.getElementById("$name"), data = $data;
  const [shown, changed] = root.querySelectorAll("canvas");
  const form = root.querySelector("form"), said = root.querySelector("output");
  const sheet = new Image(), width = shown.width, scale = width / data.size;
  const [sides, rows, columns] = data.shape, boxes = data.boxes;
  const tile = (number) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = data.size;
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const x = (number % data.columns) * data.size;
    const y = Math.floor(number / data.columns) * data.size;
    pen.drawImage(sheet, x, y, data.size, data.size, 0, 0, data.size, data.size);
    return canvas;
  };
  const pixels = (canvas) =>
    canvas.getContext("2d").getImageData(0, 0, data.size, data.size);
  const value = (name) => Number(form.elements[name].value);
  const number = () => (value("side") * rows + value("row")) * columns + value("column");
  const outline = (pen, [left, top, right, bottom]) => {
    pen.strokeStyle = "#ffb000";
    pen.lineWidth = 2;
    pen.strokeRect(left * scale, top * scale, (right - left) * scale, (bottom - top) * scale);
  };
  const draw = () => {
    if (!sheet.complete || !sheet.naturalWidth) return;
    const asked = form.elements.asked.checked, box = boxes[number()];
    const nothing = tile(boxes.length), now = asked ? tile(number()) : nothing;
    const pen = shown.getContext("2d");
    pen.drawImage(now, 0, 0, width, width);
    const one = pixels(now), other = pixels(nothing);
    for (let i = 0; i < one.data.length; i += 4) {
      const difference = data.gain * (one.data[i] - other.data[i]);
      one.data[i] = Math.max(0, difference);
      one.data[i + 1] = Math.max(0, difference) * 0.62;
      one.data[i + 2] = Math.max(0, -difference);
    }
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = data.size;
    canvas.getContext("2d").putImageData(one, 0, 0);
    const other_pen = changed.getContext("2d");
    other_pen.drawImage(canvas, 0, 0, width, width);
    if (form.elements.outline.checked && asked) [pen, other_pen].forEach((p) => outline(p, box));
    const mm = Math.round((box[2] - box[0]) * data.mm);
    said.textContent = asked ? "A box of " + mm + " mm." : "No box: a slice without a request.";
  };
  const drag = (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    const area = shown.getBoundingClientRect();
    const x = ((event.clientX - area.left) / area.width) * data.size;
    const y = ((event.clientY - area.top) / area.height) * data.size;
    const middle = (box) => Math.hypot((box[0] + box[2]) / 2 - x, (box[1] + box[3]) / 2 - y);
    const first = value("side") * rows * columns;
    let best = 0;
    for (let i = 1; i < rows * columns; i++)
      if (middle(boxes[first + i]) < middle(boxes[first + best])) best = i;
    form.elements.row.value = Math.floor(best / columns);
    form.elements.column.value = best % columns;
    draw();
  };
  shown.addEventListener("pointerdown", drag);
  shown.addEventListener("pointermove", drag);
  form.addEventListener("input", draw);
  form.addEventListener("submit", (event) => event.preventDefault());
  sheet.addEventListener("load", draw);
  sheet.src = "data:image/png;base64,$sheet";
})();
</script>
</div>""")
