"""Figures without an installed package: a plain `jupyter-book build .` shows them too.

MyST-NB finds renderers through the entry points of installed packages. Where `pathogan_core` is
installed that is enough; where only the book's own tools are, the renderer is taken from the
checkout.
"""

from __future__ import annotations

import sys
from pathlib import Path

import myst_nb.core.render as myst_nb_render
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> None:
    """Make MyST-NB know plotly's JSON, whether or not the package is installed."""
    _import_from_checkout(Path(app.srcdir))
    installed = myst_nb_render.load_mime_renders()
    if any(plugin.__name__ == "PlotlyMime" for plugin in installed):  # type: ignore[attr-defined]
        return
    from pathogan_core.figures.mystnb import PlotlyMime

    renderers = [*installed, PlotlyMime]
    myst_nb_render.load_mime_renders = lambda: renderers  # type: ignore[assignment]
    logger.info("pathogan_core is not installed: using the checkout's own figure renderer")


def _import_from_checkout(source: Path) -> None:
    """Put the sources that are being built first: the API pages describe these, no other copy."""
    if (source / "pathogan_core").is_dir() and str(source) not in sys.path:
        sys.path.insert(0, str(source))
