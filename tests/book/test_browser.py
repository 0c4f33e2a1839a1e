"""Every page in a real browser with the network blocked: light, dark and on a phone."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

DESKTOP = {"width": 1280, "height": 1000}
PHONE = {"width": 390, "height": 844}
# Both of Jupyter Book's themes emit sphinx-thebe's constants twice; harmless.
KNOWN_ERRORS = ("Identifier 'THEBE_JS_URL' has already been declared",)
# Headless Chromium without a graphics card draws WebGL in software and says so.
SOFTWARE_GL = ("GPU stall", "GL Driver Message", "software WebGL", "swiftshader", "SwiftShader")


@dataclass
class Seen:
    """What went on while a page was open."""

    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(_QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def page_names(site: Path) -> list[str]:
    names = sorted(str(p.relative_to(site)) for p in site.rglob("*.html"))
    return [n for n in names if not n.startswith(("_modules", "_static")) and n != "index.html"]


def open_page(chromium, address: str, name: str, *, theme: str, size: dict[str, int]):  # type: ignore[no-untyped-def]
    """Open a page with other hosts blocked; (page, what was seen)."""
    context = chromium.new_context(viewport=size, reduced_motion="reduce")
    context.add_init_script(
        f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}');"
    )
    seen = Seen()

    def route(request_route) -> None:  # type: ignore[no-untyped-def]
        url = request_route.request.url
        if url.startswith((address, "data:", "blob:")):
            request_route.continue_()
        else:
            seen.foreign.append(url)
            request_route.abort()

    def on_console(message) -> None:  # type: ignore[no-untyped-def]
        if message.type == "error" and not _known(message.text):
            seen.errors.append(message.text)

    context.route("**/*", route)
    page = context.new_page()
    page.on("console", on_console)
    page.on("pageerror", lambda e: None if _known(str(e)) else seen.errors.append(str(e)))
    page.goto(f"{address}/{name}", wait_until="load")
    return page, seen


def _known(text: str) -> bool:
    return any(part in text for part in (*KNOWN_ERRORS, *SOFTWARE_GL))


BRING_INTO_VIEW = """figure => {
  for (let p = figure; p; p = p.parentElement) if (p.tagName === 'DETAILS') p.open = true;
  figure.scrollIntoView();
}"""


def draw_all_figures(page) -> list[str]:  # type: ignore[no-untyped-def]
    """Bring every figure into view; the states they end in."""
    figures = page.locator(".pg-figure")
    for index in range(figures.count()):
        figure = figures.nth(index)
        figure.evaluate(BRING_INTO_VIEW)
        page.wait_for_function(
            "f => ['drawn', 'failed'].includes(f.dataset.state)",
            arg=figure.element_handle(),
            timeout=30_000,
        )
    return [figures.nth(i).get_attribute("data-state") for i in range(figures.count())]


# What a reader sees as the page's background and the text's colour, as luminance in 0..1.
LUMINANCE = """selector => {
  const seen = (element, what) => {
    for (let e = element; e; e = e.parentElement) {
      const c = getComputedStyle(e)[what].match(/[\\d.]+/g).map(Number);
      if (c.length < 4 || c[3] > 0) return (0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2]) / 255;
    }
    return 1;
  };
  const e = document.querySelector(selector);
  return [seen(e, 'backgroundColor'), seen(e, 'color')];
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_whole(site: Path, address: str, chromium, theme: str) -> None:  # type: ignore[no-untyped-def]
    problems = []
    for name in page_names(site):
        page, seen = open_page(chromium, address, name, theme=theme, size=DESKTOP)
        states = draw_all_figures(page)
        problems += [f"{name}: figure {state}" for state in states if state != "drawn"]
        problems += [f"{name}: {error}" for error in seen.errors]
        problems += [f"{name} asked for {url}" for url in seen.foreign]
        background, ink = page.evaluate(LUMINANCE, "article h1, h1")
        if abs(background - ink) < 0.4 or (background < ink) != (theme == "dark"):
            problems.append(f"{name}: {theme} shows ink {ink:.2f} on {background:.2f}")
        page.context.close()
    assert problems == []


def test_every_page_fits_a_phone(site: Path, address: str, chromium) -> None:  # type: ignore[no-untyped-def]
    problems = []
    for name in page_names(site):
        page, seen = open_page(chromium, address, name, theme="light", size=PHONE)
        draw_all_figures(page)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > PHONE["width"]:
            problems.append(f"{name} is {width} px wide: {page.evaluate(WIDE_ELEMENTS)}")
        problems += [f"{name}: {error}" for error in seen.errors]
        page.context.close()
    assert problems == []


WIDE_ELEMENTS = """() => [...document.querySelectorAll('article *')]
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
  .filter(e => !e.closest('.pg-scroll, pre, .pst-scrollable-table-container'))
  .slice(0, 5).map(e => e.tagName + '.' + e.className)"""


def test_figures_follow_a_change_of_theme(site: Path, address: str, chromium) -> None:  # type: ignore[no-untyped-def]
    with_figures = [n for n in page_names(site) if 'class="pg-figure"' in (site / n).read_text()]
    if not with_figures:
        pytest.skip("no page has a stored figure yet")
    page, _ = open_page(chromium, address, with_figures[0], theme="light", size=DESKTOP)
    draw_all_figures(page)
    colour = "document.querySelector('.pg-plot')._fullLayout.font.color"
    before = page.evaluate(colour)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(f"{colour} !== '{before}'", timeout=10_000)
    assert page.evaluate("document.querySelector('.pg-figure').getAttribute('aria-label')")
    page.context.close()


def test_maths_is_typeset_without_a_network(site: Path, address: str, chromium) -> None:  # type: ignore[no-untyped-def]
    if not (site / "vendor" / "tex-svg.js").is_file():
        pytest.skip("built without npm: pages show TeX source and say so")
    with_maths = [n for n in page_names(site) if 'class="math' in (site / n).read_text()]
    assert with_maths
    page, _ = open_page(chromium, address, with_maths[0], theme="light", size=DESKTOP)
    page.wait_for_selector("mjx-container svg", timeout=20_000)
    assert page.locator("mjx-container").count() >= page.locator(".math").count() > 0
    page.context.close()


def test_search_finds_a_word_of_the_book(site: Path, address: str, chromium) -> None:  # type: ignore[no-untyped-def]
    page, _ = open_page(chromium, address, "search.html?q=Wasserstein", theme="light", size=DESKTOP)
    page.wait_for_selector("#search-results li", timeout=20_000)
    assert page.locator("#search-results li").count() > 0
    page.context.close()
