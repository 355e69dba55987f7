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
    for result in results["process"]:
        outside = result["seconds"] - sum(result["parts"].values())
        result["starting and ending Python"] = outside
        result.update(result["parts"] | result["of_it"])
    sample = results["process"][0]
    names = {name: name for name in ("starting and ending Python", *sample["parts"])}
    names |= {name: f"  of it {name}" for name in sample["of_it"]}
    names["seconds"] = "the whole process"
    rows = [
        [shown, f"{median(results, 'process', name):.3f}"]
        for name, shown in names.items()
    ]
    title = "Unchanged second run, a process of its own"
    table(f"{title} (medians of {rounds})", ["", "seconds"], rows)
