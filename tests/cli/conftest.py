"""The `pathogan` command as a user meets it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from pathogan_core import cli


@pytest.fixture
def pathogan(monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process; returns status, stdout and the last line of stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pathogan", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        output = capsys.readouterr()
        assert "Traceback" not in output.err
        told = output.err.rstrip("\n").rsplit("\n", 1)[-1].rsplit("\r", 1)[-1]
        return int(caught.value.code or 0), output.out, told

    return run
