"""The built site as files: complete, self-contained, every link inside it leading somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]


def pages(site: Path) -> list[Path]:
    """Every page but the listings of source code and the theme's own templates."""
    return sorted(p for p in site.rglob("*.html") if not {"_modules", "_static"} & set(p.parts))


def links(page: Path) -> Iterator[tuple[str, str]]:
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    for tag in soup.find_all(href=True):
        if tag.name in ("a", "link") and tag.get("rel") != ["canonical"]:
            yield tag.name, tag["href"]
    for tag in soup.find_all(src=True):
        yield tag.name, tag["src"]


def toc_files() -> list[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))

    def walk(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            yield from (str(node[key]) for key in ("root", "file") if key in node)
            for value in node.values():
                yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)

    return list(walk(toc))


def test_every_entry_of_the_contents_is_a_page(site: Path) -> None:
    entries = toc_files()
    assert len(entries) == len(set(entries)) > 5
    assert [e for e in entries if not (site / f"{e}.html").is_file()] == []


def test_every_internal_link_leads_to_a_file_and_an_anchor(site: Path) -> None:
    anchors: dict[Path, set[str]] = {}

    def anchors_of(page: Path) -> set[str]:
        if page not in anchors:
            soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
            anchors[page] = {tag["id"] for tag in soup.find_all(id=True)} | {""}
        return anchors[page]

    broken = []
    for page in pages(site):
        for tag, link in links(page):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if target.is_dir():
                target = target / "index.html"
            if not target.is_file():
                broken.append(f"{page.relative_to(site)}: {tag} {link}")
            elif (
                tag == "a"
                and target.suffix == ".html"
                and unquote(parts.fragment) not in anchors_of(target)
            ):
                broken.append(f"{page.relative_to(site)}: no anchor {link}")
    assert broken == []


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    foreign = [
        f"{page.relative_to(site)}: {link}"
        for page in pages(site)
        for tag, link in links(page)
        if tag != "a" and urlsplit(link).netloc
    ]
    assert foreign == []


def test_large_scripts_are_not_linked_on_pages_without_figures(site: Path) -> None:
    linked = [p for p in pages(site) if any("plotly" in link for _, link in links(p))]
    assert linked == []
    assert not (site / "_static" / "plotly.min.js").exists()


def test_no_page_or_file_name_shows_a_folder_of_this_machine(site: Path) -> None:
    pattern = re.compile(re.escape(str(site.parents[1])) + "|" + re.escape(str(ROOT)) + "/")
    assert [p.name for p in pages(site) if pattern.search(p.read_text(encoding="utf-8"))] == []


def test_the_scoreboard_shows_every_published_cell(site: Path) -> None:
    import csv

    from pathogan_book.comparisons import COMPARISONS

    soup = BeautifulSoup((site / "book/scoreboard.html").read_text(encoding="utf-8"), "html.parser")
    bodies = soup.select("table.pg-scoreboard tbody")
    assert len(bodies) == len(COMPARISONS)
    for body, (name, comparison) in zip(bodies, COMPARISONS.items(), strict=True):
        table = ROOT / f"pathogan_core/experiments/published/{name}.csv"
        with table.open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
        shown = [
            [cell.get_text() for cell in line.select("abbr.pg-published")]
            for line in body.find_all("tr")
        ]
        assert shown == [[row[column] for column in comparison.columns] for row in rows]


@pytest.mark.parametrize("name", ["plotly.min.js", "tex-svg.js"])
def test_the_site_brings_its_own_scripts(site: Path, name: str) -> None:
    script = site / "vendor" / name
    if name == "tex-svg.js" and not script.is_file():
        pytest.skip("built without npm: pages show TeX source and say so")
    assert script.stat().st_size > 1_000_000
