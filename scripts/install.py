"""Make `.venv` hold exactly what `requirements.lock` says, and this project as an editable install.

Runs under the machine's own Python with the standard library alone. Cheap to repeat: a stamp in
`.venv` keeps the hash of what was installed. An interrupted install leaves no stamp, and pip goes
on from what is there.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".pathogan-installed"
INPUTS = ("requirements.lock", "pyproject.toml")
FREE_BYTES_NEEDED = 12 * 10**9  # about 7 GB of packages, and what pip unpacks on the way

# What pip says, and what it means for the person who started it.
CAUSES = (
    ("No space left on device", "the disk is full; free about 12 GB"),
    ("Name or service not known", "no network; connect, or point pip at a mirror"),
    ("Temporary failure in name resolution", "no network; connect, or point pip at a mirror"),
    ("Network is unreachable", "no network; connect, or point pip at a mirror"),
    ("Failed to establish a new connection", "no network; connect, or point pip at a mirror"),
    ("Connection refused", "the package index cannot be reached; check the network or proxy"),
    ("Read timed out", "the network is too slow or was interrupted"),
    ("Permission denied", "there is no permission to write to .venv; mend that"),
    # Last: pip says this after a failed connection, too.
    (
        "No matching distribution",
        "a pinned version cannot be had here; check pip's index and network",
    ),
)


def main() -> int:
    """Install unless the stamp says that it is done; return the exit status."""
    key = fingerprint()
    if STAMP.is_file() and STAMP.read_text() == key and venv_works():
        return 0
    started = time.monotonic()
    problem = missing() or make_venv() or install()
    if problem:
        print(f"install: {problem}, then run the same command again", file=sys.stderr)
        return 1
    STAMP.write_text(key)
    print(f"install: ready in .venv after {time.monotonic() - started:.0f} s")
    return 0


def fingerprint() -> str:
    """Hash of everything that decides what has to be installed."""
    digest = hashlib.sha256()
    for name in INPUTS:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def missing() -> str | None:
    """What this machine lacks, as one clause; None where nothing does."""
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        return "Python has no venv module; install it (Debian, Ubuntu: apt install python3-venv)"
    free = shutil.disk_usage(ROOT).free
    if not STAMP.is_file() and not VENV.exists() and free < FREE_BYTES_NEEDED:
        return f"{free / 1e9:.1f} GB are free and about 12 GB are needed; free some space"
    return None


def venv_works() -> bool:
    """The environment's own interpreter starts and has pip."""
    python = VENV / "bin" / "python"
    if not python.exists():
        return False
    command = [str(python), "-c", "import pip"]
    return subprocess.run(command, capture_output=True).returncode == 0


def make_venv() -> str | None:
    """Create the environment, or again where an interrupted attempt left a broken one."""
    if venv_works():
        return None
    print("install: creating .venv")
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode == 0 and venv_works():
        return None
    said = (result.stderr or result.stdout).strip().splitlines()
    return f".venv could not be created ({said[-1] if said else 'no pip in it'}); mend that"


def install() -> str | None:
    """pip, twice: the locked packages, then this project without its dependencies."""
    print("install: about 7 GB on a first run, most of it PyTorch")
    locked = ["--requirement", str(ROOT / "requirements.lock")]
    # The lock holds setuptools, so that building the project itself needs no network.
    project = ["--no-deps", "--no-build-isolation", "--quiet", "--editable", str(ROOT)]
    return pip(*locked) or pip(*project)


def pip(*arguments: str) -> str | None:
    """Run `pip install`, passing its output on; a failure's likely cause as one clause."""
    options = ["--disable-pip-version-check", "--no-input"]
    if os.environ.get("CI"):
        options.append("--progress-bar=off")
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", *options, *arguments]
    said: list[str] = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            sys.stderr.write(line)
    if process.returncode == 0:
        return None
    text = "".join(said)
    cause = next((meaning for sign, meaning in CAUSES if sign in text), None)
    return cause or "pip failed (its last lines are above); mend that"


if __name__ == "__main__":
    sys.exit(main())
