"""What a product costs our own process, beside the floor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from . import processes
from .rounds import Results, interleaved, median, progress, table

_PAGE = _BATCH = 100
_ALONE = 10_000
_HEAD = ["", "CPU us/product", "x replay", "seconds", "peak MB", "of it imports"]
_FIRST = {
    "replay of the same requests": "replay, first run",
    "catalogsync": "library, first run",
    "catalogsync without orjson": "library without orjson, first run",
}
_SECOND = {
    "replay of the same requests": "replay, second run",
    "catalogsync": "library, second run",
    "catalogsync without orjson": "library without orjson, second run",
}


def measure(products: int, rounds: int, folder: Path) -> None:
    """Measure at one size and print it."""
    with processes.source(products) as source, processes.fake_store() as store:
        bench = _Bench(source, store, folder, products)
        bench.record()
        results = interleaved(rounds, bench.contenders(), f"{products:,} products")
    alone = min(products, _ALONE)
    costs = [
        f"{median(results, 'engine alone', run) / alone * 1e6:.1f}"
        for run in ("first", "second")
    ]
    head = ["CPU us/product", "first run", "second run"]
    table("The engine alone, without adapters", head, [["planning and all", *costs]])
    for run, names in (("First", _FIRST), ("Second", _SECOND)):
        what = "all created" if run == "First" else "all unchanged"
        title = f"{run} run of {products:,} products over HTTP, {what}"
        table(f"{title} (medians of {rounds})", _HEAD, _rows(results, names, products))


def _rows(results: Results, names: dict[str, str], products: int) -> list[list[str]]:
    def cost(name: str) -> float:
        return median(results, name, "cpu") / products * 1e6

    floor = cost(names["replay of the same requests"])
    return [
        [
            shown,
            f"{cost(name):.1f}",
            f"{cost(name) / floor:.1f}",
            f"{median(results, name, 'wall'):.2f}",
            f"{median(results, name, 'mb'):.0f}",
            f"{median(results, name, 'mb_before'):.0f}",
        ]
        for shown, name in names.items()
    ]


@attrs.frozen
class _Bench:
    source: processes.Server
    store: processes.Server
    folder: Path
    products: int

    def _job(self, run: str, **more: Any) -> dict[str, Any]:
        return {
            **self.store.told,
            "source": self.source.url,
            "page_size": _PAGE,
            "batch_size": _BATCH,
            "tape": str(self.folder / f"{run}.tape"),
            "expect": "created" if run == "first" else "unchanged",
            **more,
        }

    def record(self) -> None:
        """Write the tapes for the replays."""
        self.store.do("empty")
        for run in ("first", "second"):
            progress(f"recording the {run} run")
            processes.work("record", self._job(run))

    def contenders(self) -> dict[str, Callable[[], dict[str, Any]]]:
        """Those of a second run stand behind a first run that prepares for it."""
        alone = {"products": min(self.products, _ALONE)}
        return {
            "engine alone": lambda: processes.work(
                "between", self._job("first", **alone)
            ),
            "replay, first run": lambda: self._first("replay"),
            "library without orjson, first run": lambda: self._first(
                "library", orjson=False
            ),
            "library without orjson, second run": lambda: self._second(
                "library", orjson=False
            ),
            "library, first run": lambda: self._first("library"),
            "library, second run": lambda: self._second("library"),
            "replay, second run": lambda: self._second("replay"),
        }

    def _first(self, kind: str, **more: Any) -> dict[str, Any]:
        self.store.do("empty")
        return processes.work(kind, self._job("first", **more))

    def _second(self, kind: str, **more: Any) -> dict[str, Any]:
        return processes.work(kind, self._job("second", **more))
