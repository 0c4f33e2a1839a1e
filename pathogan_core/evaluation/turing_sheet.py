"""Where a reader stands in a blinded Visual Turing Test, kept on disk."""

from __future__ import annotations

from pathlib import Path

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.csv_rows import read_rows
from pathogan_core.evaluation.turing import POOLED
from pathogan_core.evaluation.turing_answers import checked_class, checked_truth
from pathogan_core.evaluation.turing_session import (
    CLASS_ANSWER,
    SESSION_FILE,
    SHEET_COLUMNS,
    Upscaling,
    write_csv,
)
from pathogan_core.files import read_json

SECONDS, CLASS_SECONDS = "seconds", "class_seconds"


class AnswerSheet:
    """One reader's progress through a session; every answer is on disk before the next question.

    In a session with classes an image takes two answers, real or synthetic before the class.

    Args:
        folder: what `export_session` wrote, with or without its key.
        reader: who answers; not "all".
        answers: the CSV (`reader,image,answer,seconds`, with classes `class_answer,class_seconds`
            too), by default `answers/<reader>.csv` in the session's folder. If it exists, the
            reader goes on where they stopped.

    Raises:
        PathoganError: not a session, a reader's name that cannot name a file, or answers of another
            session or reader.
    """

    def __init__(self, folder: str | Path, reader: str, answers: str | Path | None = None):
        self.folder = Path(folder)
        session = read_json(self.folder / SESSION_FILE)
        if not isinstance(session, dict) or not isinstance(session.get("images"), list):
            raise PathoganError(
                "is no Visual Turing Test session",
                where=self.folder / SESSION_FILE,
                remedy="give a folder written by export_session",
            )
        self.images: list[str] = session["images"]
        self.upscaling: Upscaling = session["upscaling"]
        self.size: tuple[int, int] = (session["height"], session["width"])
        self.classes: list[str] = session.get("classes", [])
        self.reader = reader.strip()
        if not self.reader or self.reader == POOLED or set(self.reader) & set('/\\:\0\n\r"'):
            raise PathoganError(
                f"{reader!r} cannot be a reader's name", remedy="use letters, digits, - and _"
            )
        self.path = Path(answers or self.folder / "answers" / f"{self.reader}.csv")
        asked = (CLASS_ANSWER, CLASS_SECONDS) if self.classes else ()
        self._columns = (*SHEET_COLUMNS, SECONDS, *asked)
        self._rows: list[dict[str, str]] = []
        if self.path.exists():
            self._resume()

    def _resume(self) -> None:
        required = (*SHEET_COLUMNS, CLASS_ANSWER) if self.classes else SHEET_COLUMNS
        for place, row in read_rows(self.path, required, self._columns):
            expected = self.images[len(self._rows)] if len(self._rows) < len(self.images) else None
            if row["reader"] != self.reader or row["image"] != expected:
                raise PathoganError(
                    f"{place} is {row['reader']}'s answer to {row['image']}, "
                    f"not {self.reader}'s to {expected}",
                    where=self.path,
                    remedy="give every reader and session its own answers file",
                )
            if self.asks_class:
                raise PathoganError(
                    f"{place} follows an image without a {CLASS_ANSWER}",
                    where=self.path,
                    remedy="restore the file as it was saved",
                )
            row["answer"] = checked_truth(row["answer"], "answer", place, self.path)
            if row.get(CLASS_ANSWER):
                row[CLASS_ANSWER] = checked_class(row[CLASS_ANSWER], self.classes, place, self.path)
            self._rows.append(row)

    @property
    def position(self) -> int:
        """Images answered so far, which is also the 0-based number of the one to show."""
        return len(self._rows) - self.asks_class

    @property
    def asks_class(self) -> bool:
        """The image to show has its first answer, and waits for its class."""
        return bool(self.classes and self._rows and not self._rows[-1].get(CLASS_ANSWER))

    @property
    def complete(self) -> bool:
        """Every image is answered."""
        return self.position == len(self.images)

    def image(self) -> bytes:
        """The PNG file to show now; empty when the session is complete."""
        if self.complete:
            return b""
        path = self.folder / self.images[self.position]
        try:
            return path.read_bytes()
        except OSError as error:
            raise PathoganError(
                f"cannot be read ({error.strerror})", where=path, remedy="restore the session"
            ) from error

    def record(self, position: int, answer: str, seconds: float | None = None) -> bool:
        """Save "real" or "synthetic" for image `position`; False, and nothing saved, if another one
        is shown, or this one's class is asked for.

        An answer that arrives twice (a bouncing key, a slow connection) is therefore taken once.
        """
        said = checked_truth(answer, "answer", f"image {position + 1}", self.path)
        if self.complete or self.asks_class or position != self.position:
            return False
        row = {"reader": self.reader, "image": self.images[position], "answer": said}
        self._save([*self._rows, {**row, SECONDS: _time(seconds)}])
        return True

    def record_class(self, position: int, answer: str, seconds: float | None = None) -> bool:
        """Save the class for image `position`; False, and nothing saved, if it is not asked for."""
        if not self.asks_class or position != self.position:
            return False
        said = checked_class(answer, self.classes, f"image {position + 1}", self.path)
        *before, row = self._rows
        self._save([*before, {**row, CLASS_ANSWER: said, CLASS_SECONDS: _time(seconds)}])
        return True

    def _save(self, rows: list[dict[str, str]]) -> None:
        cells = [[row.get(column, "") for column in self._columns] for row in rows]
        write_csv(self.path, self._columns, cells)
        self._rows = rows


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f}"
