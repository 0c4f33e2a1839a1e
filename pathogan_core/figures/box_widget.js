// The kernel's side of box_player.js: every box is a question, one at a time; while it is answered
// the newest box waits, those between are not asked.

function render({ model, el }) {
  const size = model.get("size"), view = crypto.randomUUID?.() ?? String(Math.random());
  const root = document.createElement("div");
  root.className = "box-player";
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", model.get("alt"));
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab would take arrow keys for its own
  const problem = document.createElement("p");
  problem.setAttribute("role", "alert");
  problem.hidden = true;
  problem.className = "box-player-problem";
  el.append(root, problem);

  let nothing = null; // the slice without a box
  let asking = null, waiting = null; // lists of boxes: at the kernel, and after it
  const clamped = (value, half) => Math.min(Math.max(value, half), size - half);
  const boxAt = ({ column, row, side }) => {
    const x = clamped(column, side / 2), y = clamped(row, side / 2);
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2];
  };

  function ask(boxes) {
    if (asking) {
      waiting = boxes;
      return;
    }
    asking = boxes;
    root.toggleAttribute("data-waiting", true);
    model.send({ view, boxes });
  }

  function receive(content, buffers) {
    if (content.view !== view) return; // the same widget may be shown twice
    const boxes = asking;
    asking = null;
    root.toggleAttribute("data-waiting", false);
    problem.hidden = !content.problem;
    problem.textContent = content.problem ?? "";
    if (!content.problem) {
      const { buffer, byteOffset } = buffers[0];
      const image = new Uint8Array(buffer, byteOffset, size * size);
      if (!boxes.length) nothing = image;
      if (nothing) player.answer(image, nothing);
    }
    const next = waiting;
    waiting = null;
    if (next) ask(next);
  }

  const player = boxPlayer(root, {
    size,
    mm: model.get("pixel_mm"),
    gain: model.get("gain"),
    ranges: model.get("ranges"),
    boxAt,
    placeAt: (x, y, side) => ({ column: clamped(x, side / 2), row: clamped(y, side / 2) }),
    changed: (place) => ask(place ? [boxAt(place)] : []),
  });
  model.on("msg:custom", receive);
  ask([]); // first, what everything is compared with
  player.update();
  return () => model.off("msg:custom", receive);
}

export default { render };
