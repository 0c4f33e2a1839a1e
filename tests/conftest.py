"""What tests of more than one room share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


# Not for the whole session: Playwright's event loop would still run where notebooks need theirs.
@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    """A headless Chromium of the machine's own, driven by Playwright; skips where there is none."""
    playwright_api = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium found; install it (Debian, Ubuntu: apt install chromium)")
    with playwright_api.sync_playwright() as playwright:
        # --no-sandbox: as root, as on a continuous-integration machine, Chromium refuses otherwise.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
