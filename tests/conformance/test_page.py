"""`docs/reference/adapters.md` has the results of the kit."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from catalogsync.testing.conformance import (
    SINK_SUITE,
    SOURCE_SUITE,
    STATE_SUITE,
    Promise,
)

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "adapters.md").read_text(encoding="utf-8")


async def test_equal() -> None:
    """If not: `python docs/adapters.py > docs/reference/adapters.md`."""
    spec = importlib.util.spec_from_file_location("adapters", DOCS / "adapters.py")
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert await script.page() == PAGE
    assert "broken" not in PAGE.split("## The promises")[0]


def test_each_promise_has_a_heading_and_its_words() -> None:
    headings = re.findall(r"^### (\S+)$", PAGE, re.MULTILINE)
    promises: list[Promise[object]] = [
        promise
        for suite in (SOURCE_SUITE, SINK_SUITE, STATE_SUITE)
        for promise in suite.promises
    ]
    assert {promise.name for promise in promises} == {*headings}
    assert len(headings) == len({*headings})
    for promise in promises:
        assert promise.text.endswith("."), promise.name
        assert promise.mend.endswith("."), promise.name
        assert promise.text in PAGE
