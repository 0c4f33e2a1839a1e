"""The box in a live JupyterLab: its kernel side, and its page in Chromium joined to that side."""

from __future__ import annotations

import base64
import json
import subprocess
import sys

import numpy as np
import pytest

from pathogan_core import boxes as box_rules
from pathogan_core.errors import PathoganError

pytest.importorskip("anywidget", reason="pip install 'pathogan-core[book]'")

from pathogan_core.figures.box_widget import BoxWidget

SIZE = 32
BOX = (4.0, 8.0, 12.0, 16.0)
GROUND, LESION = 40, 200


def generated(boxes: np.ndarray) -> np.ndarray:
    """A slice that is grey outside boxes, and bright in them."""
    return (GROUND + (LESION - GROUND) * box_rules.drawn(boxes, SIZE)).astype(np.uint8)


class Told(list):
    """What a widget sends, in place of its connection."""

    def __call__(self, content, buffers=()):  # type: ignore[no-untyped-def]
        self.append((content, [bytes(buffer) for buffer in buffers]))


@pytest.fixture
def widget() -> BoxWidget:
    made = BoxWidget(generated, BOX, 3.0, "A slice whose lesion follows a box.")
    made.send = Told()
    return made


def ask(widget: BoxWidget, boxes: object) -> tuple[dict, list[bytes]]:
    widget._receive(widget, {"view": "a", "boxes": boxes}, [])
    return widget.send.pop()


def test_it_begins_with_the_box_it_is_given(widget: BoxWidget) -> None:
    assert [widget.ranges[name]["value"] for name in ("column", "row", "side")] == [8, 12, 8]
    for name, reach in (("column", (0, SIZE)), ("row", (0, SIZE)), ("side", (2, 13))):
        assert (widget.ranges[name]["min"], widget.ranges[name]["max"]) == reach


@pytest.mark.parametrize("boxes", [[], [BOX], [(0.0, 0.0, 3.5, 3.5)]])
def test_a_question_is_answered_with_the_pixels(widget: BoxWidget, boxes: list) -> None:
    content, (sent,) = ask(widget, boxes)
    assert content == {"view": "a"}
    assert sent == generated(np.array(boxes).reshape(-1, 4)).tobytes()


def test_what_reaches_over_the_border_is_cut_off(widget: BoxWidget) -> None:
    _, (sent,) = ask(widget, [(-5.0, 4.0, 5.0, 14.0)])
    assert sent == generated(np.array([[0.0, 4.0, 5.0, 14.0]])).tobytes()


def test_a_problem_is_told_and_the_next_question_answered(widget: BoxWidget) -> None:
    content, sent = ask(widget, [(12.0, 8.0, 4.0, 16.0)])
    assert "box" in content["problem"]
    assert sent == []
    assert ask(widget, [])[1]


def test_images_are_no_part_of_the_state_that_a_notebook_may_store(widget: BoxWidget) -> None:
    before = len(json.dumps(widget.get_state(), default=str))
    for column in range(8):
        ask(widget, [(column, 8.0, column + 8.0, 16.0)])
    assert len(json.dumps(widget.get_state(), default=str)) == before < 20_000


@pytest.mark.parametrize(
    ("answer", "box", "problem"),
    [
        (lambda _: np.zeros((SIZE, SIZE)), BOX, "float64"),
        (lambda _: np.zeros((SIZE, 8), np.uint8), BOX, "32, 8"),
        (generated, (4.0, 8.0, 40.0, 44.0), "box"),
    ],
)
def test_what_cannot_be_shown_is_refused(answer, box, problem: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(PathoganError, match=problem):
        BoxWidget(answer, box, 3.0, "a slice")


def test_figures_import_without_anywidget_and_the_widget_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['anywidget'] = None\n"
        "import pathogan_core.figures.box_player\n"
        "from pathogan_core.errors import PathoganError\n"
        "try:\n    import pathogan_core.figures.box_widget\n"
        "except PathoganError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pip install" in done.stdout


# The host stands in for JupyterLab: it gives `render` a model whose state is the Python widget's.
# Its kernel answers when the test says so.
HOST = """<!doctype html><meta charset="utf-8"><style>%(css)s</style><div id="app"></div>
<script type="module">
const code = URL.createObjectURL(new Blob([%(esm)s], { type: "text/javascript" }));
const widget = (await import(code)).default;
const listeners = new Set();
window.questions = [];
const model = {
  state: %(state)s,
  get(name) { return this.state[name]; },
  on(event, listen) { listeners.add(listen); },
  off(event, listen) { listeners.delete(listen); },
  send(message) { window.questions.push(message); },
};
window.answer = async (other) => {
  const [content, image] = await window.kernelReceives(window.questions.shift());
  const bytes = Uint8Array.from(atob(image), (c) => c.charCodeAt(0));
  for (const listen of listeners) listen({ ...content, ...other }, [new DataView(bytes.buffer)]);
};
window.leave = widget.render({ model, el: document.getElementById("app") });
window.listening = () => listeners.size;
</script>"""
# Red of the pixels of the first canvas, one for each of the image's.
SHOWN = """size => {
  const canvas = document.querySelector("canvas"), scale = canvas.width / size;
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.width).data;
  const at = (i) => Math.floor((i + 0.5) * scale);
  return Array.from({ length: size * size }, (_, i) =>
    pixels[4 * (at(Math.floor(i / size)) * canvas.width + at(i % size))]);
}"""


@pytest.fixture
def page(chromium, widget: BoxWidget):  # type: ignore[no-untyped-def]
    errors: list[str] = []

    def receives(message: dict) -> tuple[dict, str]:
        widget._receive(widget, message, [])
        content, buffers = widget.send.pop()
        return content, base64.b64encode(b"".join(buffers)).decode()

    opened = chromium.new_page()
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.expose_function("kernelReceives", receives)
    names = ("size", "pixel_mm", "gain", "ranges", "alt")
    state = json.dumps({name: getattr(widget, name) for name in names})
    filled = {"css": str(widget._css), "esm": json.dumps(str(widget._esm)), "state": state}
    opened.set_content(HOST % filled)
    opened.wait_for_function("window.questions.length === 1")
    yield opened
    opened.close()
    assert errors == []


def shown(page) -> np.ndarray:  # type: ignore[no-untyped-def]
    return np.array(page.evaluate(SHOWN, SIZE)).reshape(SIZE, SIZE)


def begin(page) -> None:  # type: ignore[no-untyped-def]
    """The slice without a box, then the one with the first box."""
    page.uncheck("[name=outline]")
    page.evaluate("window.answer()")
    page.evaluate("window.answer()")


@pytest.mark.browser
def test_a_lesion_follows_the_box_that_is_dragged(page) -> None:  # type: ignore[no-untyped-def]
    begin(page)
    inside = np.s_[10:14, 6:10]
    assert (shown(page)[inside] == LESION).all()
    area = page.locator("canvas").first.bounding_box()
    page.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    page.mouse.down()
    assert page.evaluate("window.questions[0].boxes") == [[12, 12, 20, 20]]
    page.mouse.move(area["x"] + area["width"] + 50, area["y"] + area["height"] / 2)
    page.mouse.up()  # beside the canvas, while the kernel works: the box stays in the image
    assert page.evaluate("window.questions.length") == 1
    page.evaluate("window.answer()")
    assert page.evaluate("window.questions.map((q) => q.boxes)") == [[[24, 12, 32, 20]]]
    page.evaluate("window.answer()")
    seen = shown(page)
    assert (seen[14:18, 26:30] == LESION).all()
    assert (seen[inside] == GROUND).all()
    assert page.evaluate("window.questions.length") == 0


@pytest.mark.browser
def test_only_the_newest_of_the_boxes_that_wait_is_asked(page) -> None:  # type: ignore[no-untyped-def]
    begin(page)
    for side in (3, 5, 7):
        page.fill("[name=side]", str(side))
    assert page.locator(".box-player[data-waiting]").count() == 1
    page.evaluate("window.answer()")
    assert page.evaluate("window.questions[0].boxes") == [[4.5, 8.5, 11.5, 15.5]]
    page.evaluate("window.answer()")
    assert page.evaluate("window.questions.length") == 0
    assert page.locator(".box-player[data-waiting]").count() == 0
    assert page.inner_text("output") == "A box of 21 mm."


@pytest.mark.browser
def test_without_a_request_the_slice_is_the_one_it_is_compared_with(page) -> None:  # type: ignore[no-untyped-def]
    begin(page)
    page.uncheck("[name=asked]")
    assert page.evaluate("window.questions[0].boxes") == []
    page.evaluate("window.answer()")
    assert (shown(page) == GROUND).all()


@pytest.mark.browser
def test_answers_to_another_view_are_not_shown_and_a_closed_one_listens_no_more(page) -> None:  # type: ignore[no-untyped-def]
    begin(page)
    before = shown(page)
    page.fill("[name=column]", "20")
    page.evaluate("window.answer({ view: 'another' })")
    assert (shown(page) == before).all()
    page.evaluate("window.leave()")
    assert page.evaluate("window.listening()") == 0


@pytest.mark.browser
def test_a_problem_is_shown_until_an_answer_comes(page, widget: BoxWidget, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    begin(page)

    def refuse(_: np.ndarray) -> np.ndarray:
        raise PathoganError("is damaged", where="generator.safetensors")

    with monkeypatch.context() as patch:
        patch.setattr(widget, "_answer", refuse)
        page.fill("[name=column]", "20")
        page.evaluate("window.answer()")
    assert "is damaged" in page.inner_text("[role=alert]")
    page.fill("[name=column]", "21")
    page.evaluate("window.answer()")
    assert not page.is_visible("[role=alert]")
    assert (shown(page)[10:14, 19:23] == LESION).all()
