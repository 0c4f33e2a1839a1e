"""The one kind of error a user can mend."""

from __future__ import annotations

from pathlib import Path


class PathoganError(Exception):
    """Bad input or a bad environment, told in one line: where, what is wrong, what to do.

    Command-line programs print it and exit with status 1; it is never shown as a traceback.

    Args:
        problem: what is wrong, as a clause without a full stop.
        where: the file, folder, column or parameter concerned.
        remedy: what the user can do about it.
    """

    def __init__(self, problem: str, *, where: str | Path | None = None, remedy: str | None = None):
        self.problem, self.where, self.remedy = problem, where, remedy
        line = f"{where}: {problem}" if where is not None else problem
        super().__init__(" ".join((f"{line}; {remedy}" if remedy else line).split()))

    def _render_traceback_(self) -> list[str]:
        """What IPython shows below a cell instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]
