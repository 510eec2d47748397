"""A real browser without a window, and all that a page does in it that it should not."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, Page, sync_playwright

from ..conftest import require

NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Watch:
    """What a page said and asked for."""

    errors: list[str] = field(default_factory=list)
    """Lines of the console that are warnings or worse, and exceptions."""
    requests: list[str] = field(default_factory=list)
    """Every address that was asked for."""


@contextmanager
def start_browser() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright, which brings none of its own here."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    require("chromium", present=program is not None)
    with sync_playwright() as playwright:
        # Root has no sandbox of Chromium's to go into.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@contextmanager
def open_page(
    browser: Browser, address: str, *, width: int = 1280, scheme: str = "light"
) -> Iterator[tuple[Page, Watch]]:
    """A page in a window of its own, watched from before its first request."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        accept_downloads=True,
        bypass_csp=True,  # Playwright's own waiting is evaluated in the page
    )
    page, watch = context.new_page(), Watch()
    page.on("request", lambda one: watch.requests.append(one.url))
    page.on("pageerror", lambda error: watch.errors.append(str(error)))
    page.on(
        "console",
        lambda line: line.type in ("error", "warning") and watch.errors.append(line.text),
    )
    page.goto(address)
    yield page, watch
    context.close()
