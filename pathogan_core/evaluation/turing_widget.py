"""The Visual Turing Test in JupyterLab: one image at a time, keyboard only if wished, no feedback.

Needs anywidget, which the `book` extra installs; nothing else in this room imports this file.
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
        "the reader's widget needs anywidget", remedy="pip install 'pathogan-core[book]'"
    ) from error

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing_sheet import AnswerSheet


class TuringWidget(anywidget.AnyWidget):
    """Administers a session written by `turing_session.export_session` to one reader.

    R or the left arrow says real, S or the right arrow synthetic. If the session asks for a class
    too, the first letter of its name says which (T or N; also the up and down arrows). Each answer
    is saved before the next question is asked; the browser never holds a later image, a file name
    or the key. Displaying it again, in a new kernel too, goes on at the first unanswered question.
    An answer cannot be taken back, as the thesis' readers could not compare images either.

    Args:
        folder: the session, best without its `key/`.
        reader: who answers.
        answers: the CSV to write; by default `answers/<reader>.csv` in the session's folder.

    Raises:
        PathoganError: as `turing_sheet.AnswerSheet`.
    """

    _esm = Path(__file__).with_name("turing_widget.js")
    _css = Path(__file__).with_name("turing_widget.css")

    image = traitlets.Bytes(b"").tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)
    total = traitlets.Int(0).tag(sync=True)
    width = traitlets.Int(1).tag(sync=True)
    height = traitlets.Int(1).tag(sync=True)
    upscaling = traitlets.Unicode("smooth").tag(sync=True)
    classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    asks_class = traitlets.Bool(False).tag(sync=True)
    saved_in = traitlets.Unicode("").tag(sync=True)

    def __init__(self, folder: str | Path, reader: str, answers: str | Path | None = None):
        self._sheet = AnswerSheet(folder, reader, answers)
        height, width = self._sheet.size
        super().__init__(
            image=self._sheet.image(),
            position=self._sheet.position,
            total=len(self._sheet.images),
            width=width,
            height=height,
            upscaling=self._sheet.upscaling,
            classes=self._sheet.classes,
            asks_class=self._sheet.asks_class,
            saved_in=self._sheet.path.name,  # not the folder: stored notebooks keep this
        )
        self.on_msg(self._receive)

    def _receive(self, _: Any, message: Any, __: list[Any]) -> None:
        """Take `{"position", "answer" or "class_answer", "seconds"}` and send what comes next.

        What cannot be saved or read is told to the reader, who stays at the same question.
        """
        position, seconds = message["position"], message.get("seconds")
        try:
            if "class_answer" in message:
                self._sheet.record_class(position, message["class_answer"], seconds)
            else:
                self._sheet.record(position, message["answer"], seconds)
            image = self._sheet.image()
        except PathoganError as error:
            self.send({"problem": str(error)})
            return
        with self.hold_sync():
            self.image, self.position = image, self._sheet.position
            self.asks_class = self._sheet.asks_class
