"""Where a reader stands in a blinded Visual Turing Test, kept on disk."""

from __future__ import annotations

from pathlib import Path

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing import POOLED
from pathogan_core.evaluation.turing_answers import checked_truth, read_rows
from pathogan_core.evaluation.turing_session import (
    SESSION_FILE,
    SHEET_COLUMNS,
    Upscaling,
    write_csv,
)
from pathogan_core.files import read_json


class AnswerSheet:
    """One reader's progress through a session; every answer is on disk before the next image.

    Args:
        folder: what `export_session` wrote, with or without its key.
        reader: who answers; not "all".
        answers: the CSV (`reader,image,answer,seconds`), by default `answers/<reader>.csv` in the
            session's folder. If it exists, the reader goes on where they stopped.

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
        self.reader = reader.strip()
        if not self.reader or self.reader == POOLED or set(self.reader) & set('/\\:\0\n\r"'):
            raise PathoganError(
                f"{reader!r} cannot be a reader's name", remedy="use letters, digits, - and _"
            )
        self.path = Path(answers or self.folder / "answers" / f"{self.reader}.csv")
        self._rows: list[tuple[str, str, str, str]] = []
        if self.path.exists():
            self._resume()

    def _resume(self) -> None:
        for place, row in read_rows(self.path, SHEET_COLUMNS, ("seconds",)):
            expected = self.images[len(self._rows)] if not self.complete else None
            if row["reader"] != self.reader or row["image"] != expected:
                raise PathoganError(
                    f"{place} is {row['reader']}'s answer to {row['image']}, "
                    f"not {self.reader}'s to {expected}",
                    where=self.path,
                    remedy="give every reader and session its own answers file",
                )
            said = checked_truth(row["answer"], "answer", place, self.path)
            self._rows.append((self.reader, row["image"], said, row.get("seconds", "")))

    @property
    def position(self) -> int:
        """Images answered so far, which is also the 0-based number of the one to show."""
        return len(self._rows)

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
        """Save the answer to image `position`; False, and nothing saved, if another one is shown.

        An answer that arrives twice (a bouncing key, a slow connection) is therefore taken once.
        """
        said = checked_truth(answer, "answer", f"image {position + 1}", self.path)
        if self.complete or position != self.position:
            return False
        time = "" if seconds is None else f"{seconds:.2f}"
        rows = [*self._rows, (self.reader, self.images[position], said, time)]
        write_csv(self.path, (*SHEET_COLUMNS, "seconds"), rows)
        self._rows = rows
        return True
