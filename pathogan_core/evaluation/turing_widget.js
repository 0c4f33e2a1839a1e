// The reader's side of the Visual Turing Test. It shows what the kernel sends and returns answers;
// it knows neither file names nor the truth.

const ARROWS = { "←": "ArrowLeft", "→": "ArrowRight", "↑": "ArrowUp", "↓": "ArrowDown" };
const ARROW_NAMES = { "←": "left", "→": "right", "↑": "up", "↓": "down" };

// Each question has keys of its own: one that bounces cannot answer the next question too.
function question(field, values, arrows) {
  const answers = values.map((value, number) => {
    const name = value.replaceAll("_", "-");
    return { value, name, key: name[0].toUpperCase(), arrow: arrows[number] };
  });
  const keys = {};
  for (const { value, key, arrow } of answers) {
    keys[key.toLowerCase()] = keys[ARROWS[arrow].toLowerCase()] = value;
  }
  const how = answers.map(({ name, key, arrow }) =>
    `${key} or the ${ARROW_NAMES[arrow]} arrow for ${name}`).join(", ");
  return { field, answers, keys, how, text: answers.map(({ name }) => name).join(" or ") };
}

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function answerButton({ name, key, arrow }) {
  const button = element(
    "button",
    { type: "button", className: "vtt-answer" },
    element("span", { textContent: name[0].toUpperCase() + name.slice(1) }),
    element("span", { className: "vtt-keys" },
      element("kbd", { textContent: key }), element("kbd", { textContent: arrow })),
  );
  button.setAttribute("aria-keyshortcuts", `${key} ${ARROWS[arrow]}`);
  button.setAttribute("aria-label", `${name}, key ${key}`);
  return button;
}

function render({ model, el }) {
  const get = (name) => model.get(name);
  const questions = [question("answer", ["real", "synthetic"], "←→")];
  if (get("classes").length) questions.push(question("class_answer", get("classes"), "↑↓"));

  const title = element("p", { className: "vtt-title" });
  const bar = element("progress", { className: "vtt-progress" });
  bar.setAttribute("aria-label", "Images answered");
  const picture = element("img", { className: "vtt-image", draggable: false });
  const frame = element("div", { className: "vtt-frame" }, picture);
  const rows = questions.map((asked) => {
    const buttons = asked.answers.map((choice) => {
      const button = answerButton(choice);
      button.addEventListener("click", () => answer(choice.value));
      return button;
    });
    const row = element("div", { className: "vtt-answers" }, ...buttons);
    row.setAttribute("role", "group");
    row.setAttribute("aria-label", `${asked.text}?`);
    return row;
  });
  const begin = element("button", { type: "button", className: "vtt-begin" });
  const message = element("p", { className: "vtt-message" });
  const problem = element("p", { className: "vtt-problem" });
  problem.setAttribute("role", "alert");
  message.setAttribute("aria-live", "polite");
  title.setAttribute("aria-live", "polite");

  const root = element("section", { className: "vtt", tabIndex: 0 },
    title, bar, frame, ...rows, message, begin, problem);
  root.setAttribute("aria-label", "Visual Turing Test");
  // JupyterLab would take R and S for its own shortcuts.
  root.dataset.lmSuppressShortcuts = "true";
  el.append(root);

  let started = false;
  let waiting = false; // an answer is on its way to the kernel
  let shownAt = 0;
  let url = null;

  const asked = () => questions[get("asks_class") ? 1 : 0];
  const finished = () => get("total") > 0 && get("position") >= get("total");

  function showPicture() {
    if (url) URL.revokeObjectURL(url);
    url = URL.createObjectURL(new Blob([get("image")], { type: "image/png" }));
    picture.onload = () => { shownAt = performance.now(); waiting = false; };
    picture.onerror = () => onProblem("The image could not be shown: run the cell again.");
    picture.src = url;
    picture.alt = `Image ${get("position") + 1} of ${get("total")}, ${asked().text}?`;
    picture.style.imageRendering = get("upscaling") === "pixelated" ? "pixelated" : "auto";
    picture.style.aspectRatio = `${get("width")} / ${get("height")}`;
  }

  // Every row stays in its place; a row whose turn it is not takes no answers.
  function showRows(running) {
    const active = document.activeElement;
    rows.forEach((row, number) => {
      const waits = questions[number] !== asked();
      row.hidden = !running;
      for (const button of row.children) button.disabled = waits;
      if (running && waits && row.contains(active)) root.focus({ preventScroll: true });
    });
  }

  function update() {
    const [position, total] = [get("position"), get("total")];
    const done = finished();
    const running = started && !done;
    const [first, second] = questions;
    bar.max = total;
    bar.value = position;
    title.textContent = done ? "Finished. Thank you."
      : running ? `Image ${position + 1} of ${total}` + (second ? `: ${asked().text}?` : "")
      : "Visual Turing Test";
    message.hidden = running;
    message.textContent = done
      ? `All ${total} answers are saved in ${get("saved_in")}. They are scored with the key, not here.`
      : `You will see ${total} images, some real and some synthetic. Say for each which it is: ` +
        `${first.how}. ` + (second ? `Then say what it shows: ${second.how}. ` : "") +
        "You will not be told " +
        "whether you are right, and an answer cannot be taken back. Every answer is saved at once; " +
        "you can stop and go on later.";
    begin.hidden = started || done;
    begin.textContent = position || get("asks_class") ? `Go on with image ${position + 1}` : "Begin";
    frame.hidden = !running;
    showRows(running);
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
    model.send({ position: get("position"), [asked().field]: value, seconds });
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (!questions.some(({ keys }) => key in keys) || !started || finished()) return;
    event.preventDefault();
    event.stopPropagation();
    const value = asked().keys[key];
    if (value && !event.repeat) answer(value); // a key held down answers one question only
  }

  function onProblem(text) {
    waiting = false; // the same image may be answered again
    problem.textContent = text;
    problem.hidden = false;
  }

  const onMessage = (content) => { if (content.problem) onProblem(content.problem); };

  begin.addEventListener("click", start);
  root.addEventListener("keydown", onKey);
  // One answer may change both; then the picture is set twice, and shown once.
  const changes = ["change:position", "change:asks_class"];
  for (const change of changes) model.on(change, update);
  model.on("msg:custom", onMessage);
  update();

  return () => {
    for (const change of changes) model.off(change, update);
    model.off("msg:custom", onMessage);
    if (url) URL.revokeObjectURL(url);
  };
}

export default { render };
