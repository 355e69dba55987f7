"""A first and an unchanged second run into a real Medusa."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import processes
from .rounds import interleaved, median, table

_SCRIPT = str(Path(__file__).parent / "second_run.py")


def measure(rounds: int, batch_size: int, data: Path, file: Path | None) -> None:
    """Measure both runs and print them."""
    with processes.source(194, file) as source, processes.real_store(data) as store:
        job = {
            **store.told,
            "source": source.url,
            "page_size": 30,
            "batch_size": batch_size,
            "tape": str(data / "first.tape"),
            "expect": "created",
        }
        first_run(store, job, rounds)
        second_run(job, rounds)


def first_run(store: processes.Server, job: dict[str, Any], rounds: int) -> None:
    """The library beside a replay of its requests."""

    def fresh(kind: str) -> dict[str, Any]:
        store.do("empty")
        return processes.work(kind, job)

    products = fresh("record")["products"]
    fresh("replay")  # Medusa is faster when it has done some work.
    results = interleaved(
        rounds,
        {"library": lambda: fresh("library"), "replay": lambda: fresh("replay")},
        "a real Medusa",
    )
    floor = median(results, "replay", "wall")
    ratios = [
        one["wall"] / other["wall"]
        for one, other in zip(results["library"], results["replay"], strict=True)
    ]
    rows = [
        [
            shown,
            f"{median(results, name, 'wall'):.2f}",
            f"{median(results, name, 'wall') / floor:.2f}",
            f"{median(results, name, 'cpu'):.2f}",
            str(results[name][0]["requests"]),
        ]
        for shown, name in (
            ("replay of the same requests", "replay"),
            ("catalogsync", "library"),
        )
    ]
    head = ["", "seconds", "x replay", "own CPU s", "requests"]
    what = f"{products} products into an empty Medusa, {job['batch_size']} a batch"
    table(f"First sync of {what} (medians of {rounds})", head, rows)
    print("  round by round: " + ", ".join(f"{ratio:.2f}" for ratio in ratios))


def second_run(job: dict[str, Any], rounds: int) -> None:
    """A whole process that finds nothing to do, and where its time goes."""
    processes.work("library", {**job, "expect": "fetched"})
    job = {**job, "expect": "unchanged"}
    results = interleaved(
        rounds, {"process": lambda: processes.run([_SCRIPT], job)}, "second run"
    )
    parts = list(results["process"][0]["parts"])
    for result in results["process"]:
        inside = sum(result["parts"].values())
        result.update(result["parts"], outside=result["seconds"] - inside)
    rows = [
        [part, f"{median(results, 'process', part):.3f}"]
        for part in ("outside", *parts, "seconds")
    ]
    rows[0][0], rows[-1][0] = "starting and ending Python", "the whole process"
    title = "Unchanged second run, a process of its own"
    table(f"{title} (medians of {rounds})", ["", "seconds"], rows)
