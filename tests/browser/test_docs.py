"""The documentation in a browser: what a build does not report, a reader sees."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from aiohttp import web

from catalogsync.testing.servers import serve

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

DOCS = Path(__file__).parents[2] / "docs"
pytestmark = pytest.mark.patient

# Errors of Sphinx and docutils are elements. A theme may draw its own before one.
FIND_ERRORS = """() => {
    const texts = [];
    const boxes = "aside.system-message, .admonition.error, .problematic";
    for (const box of document.querySelectorAll(boxes)) texts.push(box.innerText);
    for (const element of document.body.querySelectorAll("*")) {
        for (const side of ["::before", "::after"]) {
            const text = getComputedStyle(element, side).content;
            if (/error/i.test(text)) texts.push(text);
        }
    }
    return texts;
}"""
FIND_BROKEN_IMAGES = """async () => {
    const broken = [];
    for (const image of document.images) {
        image.loading = "eager";
        try { await image.decode(); } catch { broken.push(image.src); }
    }
    return broken;
}"""
FIND_LINKS = """() => [...document.querySelectorAll("a[href]")]
    .filter(link => link.origin === location.origin)
    .map(link => link.href)"""

FAULTY = """# Faulty

```{contents}
```

```{eval-rst}
A link to missing_.
```

![A picture](missing.png)

<a href="missing.html">A page</a>, <a href="search.html#missing">an anchor</a>

<script>console.error("a script failed")</script>
<script>throw new Error("a script broke")</script>
"""


def build(source: Path, target: Path) -> Path:
    """The pages of a documentation as HTML."""
    cache_of = target.with_name(f"{target.name}-doctrees")
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", "-d", cache_of]
    subprocess.run([*command, source, target], check=True, capture_output=True)
    return target


@asynccontextmanager
async def served(built: Path) -> AsyncIterator[str]:
    """Serve built pages; gives their address."""

    async def no_icon(_: web.Request) -> web.Response:
        return web.Response(status=204)  # every browser asks, once

    app = web.Application()
    app.router.add_get("/favicon.ico", no_icon)
    app.router.add_static("/", built)
    async with serve(app) as url:
        yield url


def pages_of(built: Path) -> list[str]:
    return sorted(f.relative_to(built).as_posix() for f in built.rglob("*.html"))


@cache
def ids(file: Path) -> frozenset[str]:
    """The places in a page that a link can lead to."""
    return frozenset(re.findall(r'\bid="([^"]+)"', file.read_text(encoding="utf-8")))


def broken_links(built: Path, links: list[str]) -> Iterator[str]:
    """Links to pages that are missing, or to places that a page does not have."""
    for link in sorted(set(links)):
        address, fragment = urldefrag(link)
        path = unquote(urlsplit(address).path).lstrip("/")
        file = built / path
        if not file.is_file():
            yield f"no page: {path}"
        elif fragment and unquote(fragment) not in ids(file):
            yield f"no anchor: {path}#{fragment}"


async def problems_of(context: BrowserContext, built: Path) -> dict[str, list[str]]:
    """What is wrong with each page; pages without problems are left out."""
    found: dict[str, list[str]] = {}
    async with served(built) as url:
        for name in pages_of(built):
            if problems := await problems_at(context, built, f"{url}/{name}"):
                found[name] = problems
    return found


async def problems_at(context: BrowserContext, built: Path, url: str) -> list[str]:
    page = await context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"script: {error}"))
    page.on(
        "console",
        lambda m: problems.append(f"console: {m.text}") if m.type == "error" else None,
    )
    page.on(
        "request",
        lambda r: (
            None
            if r.url.startswith(("http://127.0.0.1:", "data:"))
            else problems.append(f"loads from elsewhere: {r.url}")
        ),
    )
    await page.goto(url)
    problems += [f"error: {text}" for text in await page.evaluate(FIND_ERRORS)]
    problems += [f"no image: {src}" for src in await page.evaluate(FIND_BROKEN_IMAGES)]
    problems += broken_links(built, await page.evaluate(FIND_LINKS))
    await page.close()
    return problems


async def test_no_page_of_the_documentation_is_broken(
    context: BrowserContext, tmp_path: Path
) -> None:
    """No error boxes, dead links or anchors, missing images, or failing scripts."""
    built = build(DOCS, tmp_path / "html")
    assert {"index.html", "reference/api.html", "search.html"} <= {*pages_of(built)}

    assert await problems_of(context, built) == {}


async def test_each_kind_of_problem_is_noticed(
    context: BrowserContext, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    source.joinpath("index.md").write_text(FAULTY)
    source.joinpath("conf.py").write_text(
        "extensions = ['myst_parser']\nhtml_theme = 'furo'\n"
    )

    found = await problems_of(context, build(source, tmp_path / "html"))

    text = "\n".join(found["index.html"])
    assert found.keys() == {"index.html"}
    for problem in (
        'error: "ERROR: Adding a table of contents',
        "error: missing_",
        "no image: ",
        "no page: missing.html",
        "no anchor: search.html#missing",
        "console: a script failed",
        "script: a script broke",
    ):
        assert problem in text
