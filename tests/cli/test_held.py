"""Runs that the guard held: listed, approved, rejected."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result

Call = Callable[..., Result]
Prices = Callable[[int], None]


@pytest.fixture
def supply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prices:
    """Write a file of twelve products whose prices are multiplied by a factor."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CATALOGSYNC_CONFIG", raising=False)

    def supply(factor: int, more: str = "") -> None:
        rows = [f"{n},Cup {n},{n * factor}.50" for n in range(1, 13)]
        Path("cups.csv").write_text("\n".join(["id,title,price", *rows]))
        Path("catalogsync.toml").write_text(
            f"""
            [jobs.cups]
            source.type = "table"
            source.location = "cups.csv"
            source.name = "cups"
            source.map.key = "id"
            source.map.title = "title"
            source.map.price = {{ from = "price", currency = "EUR" }}
            sink = {{ type = "sql", url = "sqlite:///shop.db" }}
            {more}
            """
        )

    supply(1)
    return supply


def prices() -> list[str]:
    with closing(sqlite3.connect("shop.db")) as connection:
        rows = connection.execute("SELECT amount FROM price ORDER BY amount + 0")
        return [str(amount) for (amount,) in rows]


def held_run(call: Call) -> str:
    result = call("run", "cups", "--report", "report.json")
    assert result.exit_code == 2, result.output
    report = json.loads(Path("report.json").read_text())
    assert report["status"] == "held"
    assert f"approve or reject run {report['run_id']}" in result.stdout
    return str(report["run_id"])


def test_a_held_run_can_be_approved(supply: Prices, call: Call) -> None:
    assert call("run", "cups").exit_code == 0
    assert call("held").exit_code == 0
    first = prices()
    supply(100)
    run_id = held_run(call)
    assert prices() == first
    result = call("held")
    assert result.exit_code == 1
    assert f"catalogsync approve {run_id}" in result.stdout
    assert "ten times higher or lower: 12 of 12 products" in result.stdout
    result = call("approve", run_id, "--exclude", "3", "--by", "Ada")
    assert result.exit_code == 0, result.output
    assert "11 fetched = 11 updated" in result.stdout
    assert call("held").exit_code == 0
    supply(1)
    assert call("run", "cups", "--key", "3").stdout.count("1 unchanged") == 1


def test_a_rejected_run_stays_rejected(supply: Prices, call: Call) -> None:
    call("run", "cups")
    first = prices()
    supply(100)
    run_id = held_run(call)
    assert call("reject", run_id, "--by", "Ada").exit_code == 0
    result = call("approve", run_id)
    assert result.exit_code == 2
    assert "its plan is rejected by Ada" in result.stderr
    assert call("reject", run_id).exit_code == 0
    assert prices() == first


def test_what_was_never_held(supply: Prices, call: Call) -> None:
    call("run", "cups")
    for command in ("approve", "reject"):
        result = call(command, "no-run")
        assert (result.exit_code, "is not a held run" in result.stderr) == (2, True)


def test_a_product_that_the_plan_does_not_have(supply: Prices, call: Call) -> None:
    call("run", "cups")
    supply(100)
    result = call("approve", held_run(call), "--exclude", "99")
    assert (result.exit_code, "no change of this product" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "setting",
    [
        'options.guard = "off"',
        'options.guard = { price_jumps = "off", prices = "off" }',
    ],
)
def test_budgets_that_are_off(
    supply: Callable[..., None], call: Call, setting: str
) -> None:
    call("run", "cups")
    supply(100, setting)
    assert "12 updated" in call("run", "cups").stdout


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        (
            'options.guard = "of"',
            "jobs.cups.options.guard: must be a table of budgets, or `off`",
        ),
        ("options.guard = { titels = {} }", "did you mean `titles`?"),
        ("options.guard = { titles = { share = 2 } }", "must be from 0 to 1, is 2"),
        (
            "options.guard = { titles = { number = 3 } }",
            "options.guard.titles.share: is missing",
        ),
    ],
)
def test_a_wrong_budget(
    supply: Callable[..., None], call: Call, setting: str, problem: str
) -> None:
    supply(1, setting)
    result = call("run", "cups")
    assert (result.exit_code, problem in result.stderr) == (2, True), result.stderr
