// The reader's side of the Visual Turing Test. It shows what the kernel sends and returns answers;
// it knows neither file names nor the truth.

const KEYS = { r: "real", arrowleft: "real", s: "synthetic", arrowright: "synthetic" };

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function answerButton(answer, key, arrow) {
  const button = element(
    "button",
    { type: "button", className: "vtt-answer" },
    element("span", { textContent: answer === "real" ? "Real" : "Synthetic" }),
    element("span", { className: "vtt-keys" },
      element("kbd", { textContent: key }), element("kbd", { textContent: arrow })),
  );
  button.setAttribute("aria-keyshortcuts", `${key} ${arrow === "←" ? "ArrowLeft" : "ArrowRight"}`);
  button.setAttribute("aria-label", `${answer}, key ${key}`);
  return button;
}

function render({ model, el }) {
  const title = element("p", { className: "vtt-title" });
  const bar = element("progress", { className: "vtt-progress" });
  bar.setAttribute("aria-label", "Images answered");
  const picture = element("img", { className: "vtt-image", draggable: false });
  const frame = element("div", { className: "vtt-frame" }, picture);
  const real = answerButton("real", "R", "←");
  const synthetic = answerButton("synthetic", "S", "→");
  const buttons = element("div", { className: "vtt-answers" }, real, synthetic);
  const begin = element("button", { type: "button", className: "vtt-begin" });
  const message = element("p", { className: "vtt-message" });
  const problem = element("p", { className: "vtt-problem" });
  problem.setAttribute("role", "alert");
  message.setAttribute("aria-live", "polite");
  title.setAttribute("aria-live", "polite");

  const root = element("section", { className: "vtt", tabIndex: 0 },
    title, bar, frame, buttons, message, begin, problem);
  root.setAttribute("aria-label", "Visual Turing Test");
  // JupyterLab would take R and S for its own shortcuts.
  root.dataset.lmSuppressShortcuts = "true";
  el.append(root);

  let started = false;
  let waiting = false; // an answer is on its way to the kernel
  let shownAt = 0;
  let url = null;

  const get = (name) => model.get(name);
  const finished = () => get("total") > 0 && get("position") >= get("total");

  function showPicture() {
    if (url) URL.revokeObjectURL(url);
    url = URL.createObjectURL(new Blob([get("image")], { type: "image/png" }));
    picture.onload = () => { shownAt = performance.now(); waiting = false; };
    picture.onerror = () => onProblem("The image could not be shown: run the cell again.");
    picture.src = url;
    picture.alt = `Image ${get("position") + 1} of ${get("total")}, real or synthetic?`;
    picture.style.imageRendering = get("upscaling") === "pixelated" ? "pixelated" : "auto";
    picture.style.aspectRatio = `${get("width")} / ${get("height")}`;
  }

  function update() {
    const [position, total] = [get("position"), get("total")];
    const done = finished();
    const running = started && !done;
    bar.max = total;
    bar.value = position;
    title.textContent = done ? "Finished. Thank you."
      : running ? `Image ${position + 1} of ${total}`
      : "Visual Turing Test";
    message.hidden = running;
    message.textContent = done
      ? `All ${total} answers are saved in ${get("saved_in")}. They are scored with the key, not here.`
      : `You will see ${total} images, some real and some synthetic. Say for each which it is: ` +
        "R or the left arrow for real, S or the right arrow for synthetic. You will not be told " +
        "whether you are right, and an answer cannot be taken back. Every answer is saved at once; " +
        "you can stop and go on later.";
    begin.hidden = started || done;
    begin.textContent = position ? `Go on with image ${position + 1}` : "Begin";
    frame.hidden = buttons.hidden = !running;
    problem.hidden = true;
    if (running) showPicture();
  }

  function start() {
    started = true;
    waiting = true;
    update();
    root.focus({ preventScroll: true });
  }

  function answer(value) {
    if (!started || waiting || finished()) return;
    waiting = true;
    const seconds = (performance.now() - shownAt) / 1000;
    model.send({ position: get("position"), answer: value, seconds });
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const value = KEYS[event.key.toLowerCase()];
    if (!value || !started || finished()) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) answer(value); // a key held down answers one image only
  }

  function onProblem(text) {
    waiting = false; // the same image may be answered again
    problem.textContent = text;
    problem.hidden = false;
  }

  const onMessage = (content) => { if (content.problem) onProblem(content.problem); };

  begin.addEventListener("click", start);
  real.addEventListener("click", () => answer("real"));
  synthetic.addEventListener("click", () => answer("synthetic"));
  root.addEventListener("keydown", onKey);
  model.on("change:position", update);
  model.on("msg:custom", onMessage);
  update();

  return () => {
    model.off("change:position", update);
    model.off("msg:custom", onMessage);
    if (url) URL.revokeObjectURL(url);
  };
}

export default { render };
