"""The sinks and sources of the examples keep every promise that applies to them."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

from catalogsync import Sink, Source
from catalogsync.testing.conformance import sink_promises, source_promises

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@sink_promises
async def test_custom_sink(tmp_path: Path) -> AsyncIterator[Sink]:
    yield example("custom_sink").PriceListSink(tmp_path / "prices.json")


@source_promises
async def test_custom_source(tmp_path: Path) -> AsyncIterator[Source]:
    module = example("custom_source")
    file = tmp_path / "prices.csv"
    file.write_text(module.SAMPLE, encoding="utf-8")
    yield module.PriceListSource(file)
