// A box that is dragged over a slice: what the page's player and JupyterLab's widget share. Who uses
// it says which box belongs to the sliders, and hands in what the generator answers.

// root: an empty element. size, mm, gain: of an image and its pixels, and what a difference is
// multiplied by. ranges: of the sliders column, row and side. boxAt: their values to
// [left, top, right, bottom] in pixels. placeAt: (x, y, side) in pixels to {column, row}.
// changed: told the sliders' values, or null where no lesion is asked for.
function boxPlayer(root, { size, mm, gain, ranges, boxAt, placeAt, changed }) {
  const words = { column: "left to right", row: "top to bottom", side: "size" };
  const slider = ([name, { min, max, step, value }]) =>
    `<label>${words[name]} <input name="${name}" type="range" min="${min}" max="${max}"
      step="${step}" value="${value}"></label>`;
  root.innerHTML = `
    <figure><canvas data-drag width="320" height="320"></canvas>
      <figcaption>Generated slice. Drag the box.</figcaption></figure>
    <figure><canvas width="320" height="320"></canvas>
      <figcaption>How it differs from the same noise without a box.</figcaption></figure>
    <form>${Object.entries(ranges).map(slider).join("")}
      <label class="tick"><input name="asked" type="checkbox" checked> ask for a lesion</label>
      <label class="tick"><input name="outline" type="checkbox" checked> show the box</label>
      <output aria-live="polite"></output></form>`;
  const [shown, differing] = root.querySelectorAll("canvas");
  const form = root.querySelector("form"), said = root.querySelector("output");
  const scale = shown.width / size;
  const value = (name) => Number(form.elements[name].value);
  const ticked = (name) => form.elements[name].checked;
  const place = () => ({ column: value("column"), row: value("row"), side: value("side") });
  let image = null, nothing = null; // grey values of all pixels

  function paint(canvas, colour) {
    const small = document.createElement("canvas");
    small.width = small.height = size;
    const pen = small.getContext("2d"), pixels = pen.createImageData(size, size);
    for (let i = 0; i < image.length; i++) pixels.data.set([...colour(i), 255], 4 * i);
    pen.putImageData(pixels, 0, 0);
    canvas.getContext("2d").drawImage(small, 0, 0, canvas.width, canvas.height);
  }

  function outline(canvas, [left, top, right, bottom]) {
    const pen = canvas.getContext("2d");
    pen.strokeStyle = "#ffb000";
    pen.lineWidth = 2;
    pen.strokeRect(left * scale, top * scale, (right - left) * scale, (bottom - top) * scale);
  }

  function draw() {
    const box = boxAt(place()), asked = ticked("asked");
    said.textContent = asked
      ? `A box of ${Math.round((box[2] - box[0]) * mm)} mm.`
      : "No box: a slice without a request.";
    if (!image) return;
    paint(shown, (i) => [image[i], image[i], image[i]]);
    paint(differing, (i) => {
      const difference = gain * (image[i] - nothing[i]);
      return [Math.max(0, difference), Math.max(0, difference) * 0.62, Math.max(0, -difference)];
    });
    if (asked && ticked("outline")) [shown, differing].forEach((canvas) => outline(canvas, box));
  }

  function update() {
    changed(ticked("asked") ? place() : null);
    draw();
  }

  function drag(event) {
    if (event.type === "pointermove" && !event.buttons) return;
    const area = shown.getBoundingClientRect();
    const x = ((event.clientX - area.left) / area.width) * size;
    const y = ((event.clientY - area.top) / area.height) * size;
    const { column, row } = placeAt(x, y, value("side"));
    form.elements.column.value = column;
    form.elements.row.value = row;
    update();
  }

  shown.addEventListener("pointerdown", (event) => {
    shown.setPointerCapture(event.pointerId);
    drag(event);
  });
  shown.addEventListener("pointermove", drag);
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  return {
    update,
    answer(now, without) {
      [image, nothing] = [now, without];
      draw();
    },
  };
}
