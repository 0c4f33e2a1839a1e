"""How the book shows a plotly figure: MyST-NB's renderer for plotly's JSON.

A notebook stores a figure as JSON only, and MyST-NB drops what it does not know, so without this
plugin the page has no figure. The page gets the JSON in an inert script block;
`book/_static/figures.js` draws it with the site's own copy of plotly.js when it scrolls into view.
Imports neither torch nor plotly: the site builds without both.
"""

from __future__ import annotations

import html
import json
from typing import Any, ClassVar

from docutils import nodes

PLOTLY_MIME = "application/vnd.plotly.v1+json"
DEFAULT_HEIGHT_PX = 420


class PlotlyMime:
    """MIME render plugin, registered under the entry-point group `myst_nb.mime_renderers`."""

    # Before text/html and image/png (10 and up), so that a figure is drawn once and interactively.
    mime_priority_overrides: ClassVar = [("html", PLOTLY_MIME, 5)]

    @staticmethod
    def handle_mime(renderer: Any, data: Any, inline: bool) -> list[nodes.Element] | None:
        """Nodes for one output, or None to leave it to MyST-NB (not plotly, or inline)."""
        if inline or data.mime_type != PLOTLY_MIME:
            return None
        content = data.content
        figure = content if isinstance(content, dict) else json.loads(content)
        return [nodes.raw("", figure_html(figure), format="html")]


def figure_html(figure: dict[str, Any]) -> str:
    """The HTML of one figure: reserved height, alternative text, and the JSON to draw from.

    Args:
        figure: plotly's JSON, `{"data": [...], "layout": {...}, ...}`; `layout.meta.alt` is the
            alternative text.
    """
    layout = figure.get("layout") or {}
    meta = layout.get("meta")
    alt = (meta.get("alt") if isinstance(meta, dict) else None) or "Interactive figure"
    height = int(layout.get("height") or DEFAULT_HEIGHT_PX)
    label = html.escape(alt, quote=True)
    # "</" could close the script block early; "<\/" is the same JSON string.
    spec = json.dumps(figure, separators=(",", ":")).replace("</", "<\\/")
    return (
        f'<div class="pg-figure" role="figure" aria-label="{label}" '
        f'style="--pg-height:{height}px">'
        f'<div class="pg-plot"><p class="pg-waiting">{label}</p></div>'
        f"<noscript><p>This figure is interactive and needs JavaScript.</p></noscript>"
        f'<script type="{PLOTLY_MIME}">{spec}</script></div>'
    )
