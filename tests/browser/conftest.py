"""A headless Chromium, for tests that click; they run with CATALOGSYNC_BROWSER=1."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

collect_ignore_glob = [] if os.environ.get("CATALOGSYNC_BROWSER") == "1" else ["*"]


@pytest.fixture
async def context() -> AsyncIterator[BrowserContext]:
    """A browser without a past."""
    from playwright.async_api import async_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "install Chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        context = await browser.new_context(
            locale="en-US", timezone_id="UTC", viewport={"width": 1280, "height": 800}
        )
        context.set_default_timeout(60_000)
        yield context
        await browser.close()
