"""The reader's widget: its kernel side, and its page in headless Chromium joined to that side."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing_classes import ImageClasses
from pathogan_core.evaluation.turing_session import export_session, read_key_classes, score_session

pytest.importorskip("anywidget", reason="pip install 'pathogan-core[book]'")

from pathogan_core.evaluation.turing_widget import TuringWidget

FRONT_END = ("image", "position", "total", "width", "height", "upscaling", "saved_in")
FRONT_END += ("classes", "asks_class")
FIRST, SECOND = "real or synthetic?", "tumour or non-tumour?"


@pytest.fixture
def session(tmp_path):
    rng = np.random.default_rng(0)
    real, synthetic = (rng.integers(0, 256, (4, 16, 24), dtype=np.uint8) for _ in range(2))
    return export_session(
        real, synthetic, tmp_path / "session", per_class=3, seed=0, upscaling="pixelated"
    )


@pytest.fixture
def classed(tmp_path):
    """A session that asks for a class too; its names are the library's own keys."""
    rng = np.random.default_rng(0)
    real, synthetic = (rng.integers(0, 256, (4, 16, 24), dtype=np.uint8) for _ in range(2))
    names = ["tumour", "non_tumour"] * 2
    classes = ImageClasses(("tumour", "non_tumour"), names, names)
    return export_session(
        real, synthetic, tmp_path / "classed", per_class=2, seed=0, classes=classes
    )


def send(widget, **message):
    widget._receive(widget, message, [])


def test_shows_saves_and_goes_on_in_a_new_kernel(session):
    widget = TuringWidget(session, "ann")
    assert widget.image == (session / "001.png").read_bytes()
    assert (widget.position, widget.total, widget.width, widget.height) == (0, 6, 24, 16)
    send(widget, position=0, answer="real", seconds=0.5)
    assert widget.position == 1
    assert widget.image == (session / "002.png").read_bytes()
    saved = (session / "answers" / "ann.csv").read_text()
    assert saved.splitlines()[1] == "ann,001.png,real,0.50"
    again = TuringWidget(session, "ann")
    assert again.position == 1
    assert again.image == widget.image


def test_a_repeated_message_is_taken_once_and_the_end_shows_no_image(session):
    widget = TuringWidget(session, "ann")
    send(widget, position=0, answer="real")
    send(widget, position=0, answer="synthetic")
    assert widget.position == 1
    for position in range(1, 6):
        send(widget, position=position, answer="synthetic")
    assert (widget.position, widget.image) == (6, b"")


def test_the_class_is_asked_after_the_first_answer_and_in_a_new_kernel_too(classed):
    widget = TuringWidget(classed, "ann")
    assert widget.classes == ["tumour", "non_tumour"]
    first = widget.image
    send(widget, position=0, class_answer="tumour")  # not asked yet
    assert not widget.asks_class
    send(widget, position=0, answer="real", seconds=0.5)
    send(widget, position=0, answer="synthetic", seconds=0.6)
    assert (widget.position, widget.asks_class, widget.image) == (0, True, first)
    again = TuringWidget(classed, "ann")
    assert (again.position, again.asks_class, again.image) == (0, True, first)
    send(again, position=0, class_answer="non_tumour", seconds=0.25)
    assert (again.position, again.asks_class) == (1, False)
    assert again.image == (classed / "002.png").read_bytes()
    saved = (classed / "answers" / "ann.csv").read_text()
    assert saved.splitlines()[1] == "ann,001.png,real,0.50,non_tumour,0.25"


def test_a_session_of_one_question_never_asks_for_a_class(session):
    widget = TuringWidget(session, "ann")
    send(widget, position=0, answer="real")
    assert (widget.classes, widget.asks_class, widget.position) == ([], False, 1)


@pytest.mark.parametrize("folder", ["session", "classed"])
def test_what_reaches_the_browser_holds_no_name_folder_or_truth(folder, request):
    session = request.getfixturevalue(folder)
    widget = TuringWidget(session, "ann")
    state = {name: value for name, value in widget.get_state().items() if name in widget.keys}
    text = repr({k: v for k, v in state.items() if k not in ("_esm", "_css", "image")})
    for secret in ("001.png", "key", "seed", str(session), "truth"):
        assert secret not in text


def test_a_failed_write_is_told_and_keeps_the_image(session, monkeypatch):
    widget = TuringWidget(session, "ann")
    told = []
    monkeypatch.setattr(widget, "send", told.append)

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        send(widget, position=0, answer="real")
    assert "No space left" in told[0]["problem"]
    assert widget.position == 0
    send(widget, position=0, answer="real")
    assert widget.position == 1


def test_evaluation_imports_without_anywidget_and_the_widget_says_what_to_install():
    code = (
        "import sys; sys.modules['anywidget'] = None\n"
        "import pathogan_core.evaluation.turing_session, pathogan_core.evaluation.turing_sheet\n"
        "from pathogan_core.errors import PathoganError\n"
        "try:\n    import pathogan_core.evaluation.turing_widget\n"
        "except PathoganError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pip install" in done.stdout


# The host stands in for JupyterLab: it gives `render` a model whose state is the Python widget's.
HOST = """<!doctype html><meta charset="utf-8">
<style>:root { color-scheme: light dark } body { background: Canvas } %(css)s</style>
<div id="app"></div><script type="module">
const code = URL.createObjectURL(new Blob([%(esm)s], { type: "text/javascript" }));
const widget = (await import(code)).default;
const listeners = {};
const tell = (event, content) => (listeners[event] ?? []).forEach((listen) => listen(content));
async function kernelState() {
  const state = await window.kernelState();
  return { ...state, image: Uint8Array.from(atob(state.image), (c) => c.charCodeAt(0)) };
}
const model = {
  state: await kernelState(),
  get(name) { return this.state[name]; },
  on(event, listen) { (listeners[event] ??= []).push(listen); },
  off() {},
  async send(message) {
    const before = this.state;
    const problem = await window.kernelReceives(message);
    this.state = await kernelState();
    for (const name of ["position", "asks_class"]) {
      if (this.state[name] !== before[name]) tell(`change:${name}`);
    }
    if (problem) tell("msg:custom", { problem });
  },
};
document.addEventListener("load", (event) => { window.pictureShown = event.target.alt; }, true);
document.addEventListener("keydown", (event) => { window.lastKeySeenByHost = event.key; });
widget.render({ model, el: document.getElementById("app") });
</script>"""


def open_page(chromium, session):
    """A page that shows the widget of reader ann, the widget, and the page's errors."""
    widget, errors, problems = TuringWidget(session, "ann"), [], []
    widget.send = lambda content: problems.append(content["problem"])

    def state():
        values = {name: getattr(widget, name) for name in FRONT_END}
        return {**values, "image": base64.b64encode(widget.image).decode()}

    def receives(message):
        send(widget, **message)
        return problems.pop() if problems else None

    page = chromium.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.expose_function("kernelState", state)
    page.expose_function("kernelReceives", receives)
    page.set_content(HOST % {"css": str(widget._css), "esm": json.dumps(str(widget._esm))})
    page.wait_for_selector(".vtt-begin")
    return page, widget, errors


@pytest.fixture
def opened(chromium, session):
    return open_page(chromium, session)


def shown(page, number):
    wait_for_picture(page, f"Image {number} of 6", f"Image {number} of 6, {FIRST}")


def asked(page, number, question):
    wait_for_picture(page, f"Image {number} of 4: {question}", f"Image {number} of 4, {question}")


def wait_for_picture(page, title, alt):
    """The picture has loaded: from then on the widget takes an answer."""
    page.wait_for_function(
        "([title, alt]) => document.querySelector('.vtt-title').textContent === title"
        " && window.pictureShown === alt",
        arg=[title, alt],
    )


@pytest.mark.browser
def test_a_reader_answers_by_keyboard_and_button_without_feedback(opened):
    page, widget, errors = opened
    page.keyboard.press("r")  # before the start: nothing
    page.click(".vtt-begin")
    shown(page, 1)
    assert page.evaluate("document.querySelector('.vtt-image').naturalWidth") == 24
    assert (
        page.eval_on_selector(".vtt-image", "e => getComputedStyle(e).imageRendering")
        == "pixelated"
    )
    for number, key in enumerate(["r", "S", "ArrowLeft", "ArrowRight"], start=2):
        page.keyboard.press(key)
        shown(page, number)
        assert "correct" not in page.inner_text(".vtt").lower()
    page.get_by_role("button", name="synthetic").click()
    shown(page, 6)
    page.keyboard.press("x")
    page.get_by_role("button", name="real").focus()
    page.keyboard.press("r")
    page.wait_for_function("document.querySelector('.vtt-title').textContent.includes('Finished')")
    rows = widget._sheet.path.read_text().splitlines()[1:]
    said = [row.split(",")[2] for row in rows]
    assert said == ["real", "synthetic", "real", "synthetic", "synthetic", "real"]
    assert all(float(row.split(",")[3]) >= 0 for row in rows)
    assert not page.is_visible(".vtt-image")
    assert errors == []


@pytest.mark.browser
def test_a_held_key_answers_one_image_and_other_shortcuts_pass(opened):
    page, widget, _ = opened
    page.click(".vtt-begin")
    shown(page, 1)
    for _ in range(4):
        page.keyboard.down("r")  # without "up" the browser marks the later ones as repeats
    shown(page, 2)
    page.keyboard.down("r")  # still held when the next image can be answered
    page.wait_for_timeout(100)
    assert widget.position == 1
    assert page.evaluate("window.lastKeySeenByHost") is None
    page.keyboard.up("r")
    page.keyboard.press("Control+s")
    page.wait_for_function("window.lastKeySeenByHost === 's'")
    assert widget.position == 1


@pytest.mark.browser
def test_a_failed_write_is_shown_and_the_image_can_be_answered_again(opened, monkeypatch):
    page, widget, errors = opened
    page.click(".vtt-begin")
    shown(page, 1)

    def refuse(*_):
        raise PathoganError("cannot be written", where="ann.csv")

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(widget._sheet, "record", refuse)
            page.keyboard.press("r")
            page.wait_for_selector(".vtt-problem:visible")
    assert "cannot be written" in page.inner_text("[role=alert]")
    page.keyboard.press("r")
    shown(page, 2)
    assert not page.is_visible(".vtt-problem")
    assert errors == []


@pytest.mark.browser
def test_a_reader_answers_both_questions_by_keyboard_and_button(chromium, classed):
    page, widget, errors = open_page(chromium, classed)
    assert "T or the up arrow for tumour, N or the down arrow for non-tumour" in page.inner_text(
        ".vtt-message"
    )
    page.click(".vtt-begin")
    asked(page, 1, FIRST)
    assert page.get_by_role("button", name="tumour, key T", exact=True).is_disabled()
    page.keyboard.press("t")  # not asked yet
    page.keyboard.press("r")
    asked(page, 1, SECOND)
    page.keyboard.press("s")  # cannot be taken back
    page.keyboard.press("N")
    asked(page, 2, FIRST)
    page.keyboard.press("ArrowRight")
    asked(page, 2, SECOND)
    page.keyboard.press("ArrowUp")
    asked(page, 3, FIRST)
    page.get_by_role("button", name="synthetic").click()
    asked(page, 3, SECOND)
    page.keyboard.press("ArrowDown")  # the clicked button is off: keys still arrive
    asked(page, 4, FIRST)
    page.keyboard.press("ArrowLeft")
    asked(page, 4, SECOND)
    assert "correct" not in page.inner_text(".vtt").lower()
    assert page.evaluate("window.lastKeySeenByHost") is None
    page.get_by_role("button", name="tumour, key T", exact=True).click()
    page.wait_for_function("document.querySelector('.vtt-title').textContent.includes('Finished')")
    rows = [row.split(",") for row in widget._sheet.path.read_text().splitlines()[1:]]
    assert [(row[2], row[4]) for row in rows] == [
        ("real", "non_tumour"),
        ("synthetic", "tumour"),
        ("synthetic", "non_tumour"),
        ("real", "tumour"),
    ]
    assert all(float(row[column]) >= 0 for row in rows for column in (3, 5))
    truths = read_key_classes(classed / "key/key.csv")
    right = sum(truths[row[1]] == row[4] for row in rows)
    result = score_session(classed, widget._sheet.path, positive="tumour")["ann"]
    assert result.classes.accuracy == right / 4
    assert errors == []


@pytest.mark.browser
def test_a_held_key_and_a_double_click_answer_one_question(chromium, classed):
    page, widget, _ = open_page(chromium, classed)
    page.click(".vtt-begin")
    asked(page, 1, FIRST)
    for _ in range(4):
        page.keyboard.down("ArrowRight")
    page.keyboard.up("ArrowRight")
    asked(page, 1, SECOND)
    box = page.get_by_role("button", name="non-tumour").bounding_box()
    page.mouse.dblclick(box["x"] + 9, box["y"] + 9, delay=60)
    asked(page, 2, FIRST)
    page.wait_for_timeout(100)
    assert (widget.position, widget.asks_class) == (1, False)


@pytest.mark.browser
def test_a_reader_goes_on_with_the_class_of_the_image_they_stopped_at(chromium, classed):
    send(TuringWidget(classed, "ann"), position=0, answer="synthetic")
    page, widget, errors = open_page(chromium, classed)
    assert page.inner_text(".vtt-begin") == "Go on with image 1"
    page.click(".vtt-begin")
    asked(page, 1, SECOND)
    page.keyboard.press("t")
    asked(page, 2, FIRST)
    assert (
        widget._sheet.path.read_text().splitlines()[1].startswith("ann,001.png,synthetic,,tumour,")
    )
    assert errors == []
