"""Plans that are carried out, and what the state store knows."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from catalogsync.cli._commands import cli
from catalogsync.testing import FaultPlan
from catalogsync.testing.dummyjson import Records
from catalogsync.testing.faults import status

Call = Callable[..., Result]
Configure = Callable[..., None]


@pytest.fixture
def configure(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Configure:
    """Write a job that syncs the server into a SQLite file, and go where it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CATALOGSYNC_CONFIG", raising=False)

    def configure(more: str = "", *, url: str = server, file: str = "shop.db") -> None:
        Path("catalogsync.toml").write_text(
            f"""
            [jobs.products]
            source = {{ type = "dummyjson", url = "{url}", page_size = 2 }}
            sink = {{ type = "sql", url = "sqlite:///{file}" }}
            options.retry = {{ attempts = 2, wait_initial = 0, wait_jitter = 0 }}
            {more}
            """
        )

    configure()
    return configure


def by_hand(statement: str, file: str = "shop.db") -> list[tuple[Any, ...]]:
    """What a person does in the store."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


def titles(file: str = "shop.db") -> dict[str, str]:
    statement = "SELECT source_id, title FROM product WHERE source IS NOT NULL"
    return dict(by_hand(statement, file))


def lines(result: Result) -> Sequence[str]:
    return result.stdout.splitlines()


# plan and apply


def test_the_status_of_plan_says_whether_there_are_changes(
    configure: Configure, call: Call, records: Records, server: str
) -> None:
    assert call("plan", "products").exit_code == 0
    assert call("plan", "products", "--exit-code").exit_code == 3
    assert call("run", "products").exit_code == 0
    assert call("plan", "products", "--exit-code").exit_code == 0
    records[0]["title"] = "Other"
    assert call("plan", "products", "--exit-code").exit_code == 3
    assert call("plan", "products").exit_code == 0
    records[0]["price"] = "free"
    assert call("plan", "products", "--exit-code").exit_code == 1
    records[1]["title"] = "Other"
    assert call("plan", "products", "--exit-code").exit_code == 3
    assert call("plan", "products", "--exit-code", "--key", "99").exit_code == 1
    configure(url="http://127.0.0.1:1")
    assert call("plan", "products", "--exit-code").exit_code == 2


def test_plan_apply_plan(configure: Configure, call: Call, records: Records) -> None:
    result = call("plan", "products", "--out", "plan.jsonl", "--exit-code")
    assert result.exit_code == 3
    assert lines(result)[0] == "products: 5 to create, 0 to update, 0 unchanged"
    assert lines(result)[-1] == "Plan written to plan.jsonl."
    assert "+ create" not in result.output
    first, *changes, last = map(json.loads, Path("plan.jsonl").read_text().splitlines())
    assert (first["job"], first["source"]) == ("products", "dummyjson")
    made = [line["key"] for line in changes if line["line"] == "product"]
    assert sorted(made) == [f"dummyjson:{number}" for number in range(1, 6)]
    assert last["counts"]["created"] == 5
    planned = {str(record["id"]): record["title"] for record in records}
    records[0]["title"] = "Not in the plan"
    result = call("apply", "plan.jsonl", "--report", "report.json")
    assert result.exit_code == 0
    assert "products: succeeded: 5 fetched = 5 created" in result.stdout
    assert json.loads(Path("report.json").read_text())["counts"]["created"] == 5
    assert titles() == planned
    result = call("apply", "plan.jsonl")
    assert (result.exit_code, "5 fetched = 5 unchanged" in result.stdout) == (0, True)
    assert call("plan", "products", "--exit-code").exit_code == 3


def test_a_plan_says_how_long_it_takes(
    configure: Configure, call: Call, records: Records
) -> None:
    first = call("plan", "products").stdout
    assert re.search(
        r"would take 2 writes, at least \d+ requests$", first, re.MULTILINE
    )
    call("run", "products")
    for record in records:
        record["title"] += "!"
    again = call("plan", "products").stdout
    assert re.search(
        r"would take 2 writes, at least \d+ requests, about \d+ s$", again, re.MULTILINE
    )


def test_apply_leaves_alone_what_changed_since(
    configure: Configure, call: Call, records: Records
) -> None:
    call("run", "products")
    for record in records:
        record["title"] += "!"
    call("plan", "products", "--out", "plan.jsonl")
    by_hand("UPDATE product SET title = 'By hand' WHERE source_id = '2'")
    result = call("apply", "plan.jsonl")
    assert result.exit_code == 2
    assert "5 fetched = 4 updated + 1 unresolved" in result.stdout
    assert (
        "unresolved dummyjson:2: it has changed since the plan was made;"
        " make a new plan"
    ) in result.stdout
    assert titles().pop("2") == "By hand"
    assert sum(title.endswith("!") for title in titles().values()) == 4


def test_a_damaged_plan_is_one_clear_line(configure: Configure, call: Call) -> None:
    call("plan", "products", "--out", "plan.jsonl")
    whole = Path("plan.jsonl").read_bytes()
    cut = whole[: whole.index(b"dummyjson:1")]
    here, last = cut.count(b"\n") + 1, whole.count(b"\n")
    damaged = {
        cut: f"line {here}: is not a line of a plan: ",
        whole[: whole.rindex(b'{"line":"end"')]: f"line {last}: is missing: the plan",
        whole.replace(
            b'"USD"', b'"EUR"'
        ): f"line {last}: is not a line of a plan: check",
        b"": "line 1: is missing: the plan was cut",
    }
    for data, shown in damaged.items():
        Path("plan.jsonl").write_bytes(data)
        result = call("apply", "plan.jsonl")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"error: plan.jsonl, {shown}")
        assert result.stderr.count("\n") == 1
        assert not Path("shop.db").exists()


def test_a_plan_for_something_else(configure: Configure, call: Call) -> None:
    call("plan", "products", "--out", "plan.jsonl")
    configure(file="other.db")
    result = call("apply", "plan.jsonl")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "was made for " in result.stderr
    assert "other.db" in result.stderr.splitlines()[-1]
    text = Path("catalogsync.toml").read_text()
    Path("catalogsync.toml").write_text(text.replace("jobs.products", "jobs.others"))
    result = call("apply", "plan.jsonl")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: jobs.products: unknown job")
    result = call("apply", "missing.jsonl")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: missing.jsonl: cannot be read: No such file or directory\n",
    )


def test_a_plan_that_cannot_be_written_or_made(
    configure: Configure, call: Call
) -> None:
    result = call("plan", "products", "--out", "no/plan.jsonl")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "error: no/plan.jsonl: cannot be written: No such file" in result.stderr
    configure(url="http://127.0.0.1:1")
    result = call("plan", "products", "--out", "plan.jsonl")
    assert (result.exit_code, result.stdout) == (2, "")
    assert not list(Path().glob("*plan*"))


@pytest.mark.parametrize(
    ("prune", "word", "left"), [("unpublish", "unpublish", 5), ("delete", "delete", 4)]
)
def test_removals_are_planned_and_carried_out(
    configure: Configure,
    call: Call,
    records: Records,
    prune: str,
    word: str,
    left: int,
) -> None:
    configure(f'options.prune = "{prune}"\noptions.max_prune = 3')
    call("run", "products")
    title = records[4]["title"]
    del records[4]
    result = call("plan", "products", "--exit-code")
    assert result.exit_code == 3
    assert lines(result)[0] == f"- {word} dummyjson:5  {title}"
    assert lines(result)[1].startswith("products: 0 to create, 0 to update, 4 unchang")
    assert lines(result)[1].endswith(", 1 to remove")
    call("plan", "products", "--out", "plan.jsonl")
    assert len(titles()) == 5
    assert call("apply", "plan.jsonl").exit_code == 0
    assert len(titles()) == left
    again = call("apply", "plan.jsonl")
    assert again.exit_code == (1 if prune == "delete" else 0)
    assert ("dummyjson:5: no longer there" in again.stdout) == (prune == "delete")
    assert len(titles()) == left
    drafts = by_hand("SELECT source_id FROM product WHERE status = 'draft'")
    assert drafts == ([("5",)] if prune == "unpublish" else [])
    assert call("plan", "products", "--exit-code").exit_code == 0


def test_a_product_that_comes_back_is_noted_only(
    configure: Configure, call: Call, records: Records
) -> None:
    configure('options.prune = "unpublish"\noptions.max_prune = 3')
    call("run", "products")
    record = records[4]
    del records[4]
    call("run", "products")
    by_hand("UPDATE product SET status = 'published'")
    records.append(record)
    result = call("plan", "products")
    assert lines(result)[0] == f"~ update dummyjson:5  {record['title']}"
    assert lines(result)[1] == "    (bookkeeping only)"


def test_owners_and_edits_stand_in_the_configuration(
    configure: Configure, call: Call, records: Records
) -> None:
    configure(
        """
        options.on_manual_edit = "keep"
        options.owns = { title = "on_create", description = "always", tags = "never" }
        """
    )
    call("run", "products")
    assert by_hand("SELECT * FROM product_tag") == []
    by_hand("UPDATE product SET title = 'A', description = 'B' WHERE source_id = '1'")
    for record in records:
        record["title"] = "Other"
    result = call("run", "products")
    assert "5 fetched = 5 unchanged" in result.stdout
    assert "keeps an edit: dummyjson:1 description: 'B' (" in result.stdout
    assert "title" not in result.stdout
    assert titles()["1"] == "A"
    plan = call("plan", "products", "--exit-code")
    assert (plan.exit_code, "keeps an edit: dummyjson:1" in plan.stdout) == (0, True)


# runs, failures, retry, explain


def test_runs(configure: Configure, call: Call, faults: FaultPlan) -> None:
    assert (call("runs").exit_code, call("runs").stdout) == (0, "no runs yet\n")
    call("run", "products")
    call("run", "products")
    call("plan", "products")
    shown = lines(call("runs"))
    line = (
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d products [0-9a-f]{12} succeeded in \d\.\d\d s"
    )
    assert re.fullmatch(f"{line}: 5 unchanged", shown[0])
    assert re.fullmatch(f"{line}: 5 created", shown[1])
    assert len(shown) == 2
    assert len(lines(call("runs", "--limit", "1"))) == 1
    assert lines(call("runs", "--job", "products")) == shown
    misspelt = call("runs", "--job", "product")
    assert (misspelt.exit_code, misspelt.stdout) == (2, "")
    assert "did you mean `products`?" in misspelt.stderr


def test_a_run_that_cannot_begin_is_among_the_runs(
    configure: Configure, call: Call
) -> None:
    """Somebody who looks in the morning sees that it was tried, and why it failed."""
    call("run", "products")
    configure(file="/no-such-folder/catalog.db")
    broken = call("run", "products", "--key", "1")
    assert broken.exit_code == 2
    shown = lines(call("runs"))
    assert len(shown) == 2
    assert re.search(r" products [0-9a-f]{12} failed in ", shown[0])
    assert "no-such-folder" in shown[0]


def test_failures_and_retry(configure: Configure, call: Call, records: Records) -> None:
    result = call("failures", "products")
    assert (result.exit_code, result.stdout) == (0, "products: no failed products\n")
    good = {number: records[number]["price"] for number in (0, 1, 2)}
    for number in good:
        records[number]["price"] = "free"
    assert call("run", "products").exit_code == 1
    assert call("run", "products").exit_code == 1
    result = call("failures", "products")
    assert result.exit_code == 1
    assert lines(result)[0].startswith("dummyjson:1: price: must be a number")
    assert re.match(r"    failed in 2 runs since 20.*, last 20", lines(result)[1])
    records[0]["price"], records[1]["price"] = good[0], good[1]
    result = call("retry", "products", "--dry-run")
    assert "+ create dummyjson:1  " in result.stdout
    planned = "products: 2 to create, 0 to update, 0 unchanged, 1 failed (chosen"
    assert planned in result.stdout
    assert titles().keys() == {"4", "5"}
    result = call("retry", "products", "--key", "2", "--key", "dummyjson:4")
    assert (result.exit_code, titles().keys()) == (0, {"2", "4", "5"})
    assert "1 fetched = 1 created" in result.stdout
    assert "dummyjson:4 has not failed\n" in result.stderr
    result = call("retry", "products")
    assert result.exit_code == 1
    assert "2 fetched = 1 created + 1 failed" in result.stdout
    assert titles().keys() == {"1", "2", "4", "5"}
    assert len(lines(call("failures", "products"))) == 2


def test_a_failed_product_that_left_the_source_is_forgotten(
    configure: Configure, call: Call, records: Records
) -> None:
    records[2]["price"] = "free"
    call("run", "products")
    del records[2]
    result = call("retry", "products", "--dry-run")
    assert (
        "dummyjson:3 left the source and would be dropped from the failures"
        in result.stderr
    )
    assert call("failures", "products").exit_code == 1
    result = call("retry", "products")
    assert (
        "dummyjson:3 left the source and is dropped from the failures" in result.stderr
    )
    assert call("failures", "products").exit_code == 0
    assert call("retry", "products").exit_code == 0


def test_retry_of_a_source_that_is_down(
    configure: Configure, call: Call, records: Records
) -> None:
    records[0]["price"] = "free"
    call("run", "products")
    configure(url="http://127.0.0.1:1")
    result = call("retry", "products")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].startswith("error: GET http://127.0.0.1:1")
    assert call("failures", "products").exit_code == 1


def test_explain(configure: Configure, call: Call, records: Records) -> None:
    price = records[0]["price"]
    records[0]["price"] = "free"
    result = call("explain", "products", "1")
    assert result.exit_code == 1
    assert lines(result)[:3] == [
        "dummyjson:1: history",
        "  no recorded changes",
        "next run",
    ]
    call("run", "products")
    records[0]["price"] = price
    shown = lines(call("explain", "products", "dummyjson:1"))
    assert re.match(r"  20[-0-9]+ [:0-9]+ failed: price: must be a number", shown[1])
    assert shown[2] == "currently failing:"
    assert shown[3].startswith("  dummyjson:1: price: must be a number")
    assert any(line.startswith("  + create dummyjson:1  ") for line in shown[6:])
    call("run", "products")
    records[0]["title"] = "Other"
    call("run", "products")
    records[0]["title"] = "Another"
    result = call("explain", "products", "1")
    assert result.exit_code == 0
    shown = lines(result)
    assert [line[22:] for line in shown[1:4]] == [
        "updated: title",
        "created",
        shown[3][22:],
    ]
    assert "failed: price: must be a number" in shown[3]
    assert shown[4] == "next run"
    assert shown[6] == '      title: "Other" -> "Another"'
    assert "currently failing:" not in shown


def test_explain_shows_a_removal(
    configure: Configure, call: Call, records: Records
) -> None:
    call("run", "products")
    del records[4]
    word = "a run over the whole source does not find it"
    assert word not in call("explain", "products", "5").stdout
    configure('options.prune = "unpublish"\noptions.max_prune = 3')
    assert (
        f"  - unpublish dummyjson:5, when {word}"
        in call("explain", "products", "5").stdout
    )
    call("run", "products")
    assert word not in call("explain", "products", "5").stdout
    assert word not in call("explain", "products", "99").stdout
    configure('options.prune = "delete"\noptions.max_prune = 3')
    assert (
        f"  - delete dummyjson:5, when {word}"
        in call("explain", "products", "5").stdout
    )


def test_explain_without_an_answer(
    configure: Configure, call: Call, records: Records, faults: FaultPlan
) -> None:
    """The history is shown even if the next run cannot be previewed."""
    call("run", "products")
    result = call("explain", "products", "99")
    assert result.exit_code == 1
    assert lines(result)[-1].endswith("the source does not have dummyjson:99")
    faults.add(status(503))
    result = call("explain", "products", "1")
    assert result.exit_code == 2
    assert lines(result)[1].endswith(" created")
    assert lines(result)[2].startswith("cannot preview the next run: GET ")
    assert call("explain", "products", "").exit_code == 2


@pytest.mark.parametrize("command", ["failures", "retry", "explain", "release"])
def test_no_such_job(configure: Configure, call: Call, command: str) -> None:
    result = call(command, "product", *(["1"] if command == "explain" else []))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean `products`?" in result.stderr


# release


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_release_asks(configure: Configure, call: Call, answer: str) -> None:
    call("run", "products")
    result = CliRunner().invoke(cli, ["release", "products"], input=answer)
    assert result.exit_code == 2
    assert "Release all products of products (dummyjson in sql)? [y/N]" in result.stderr
    assert result.stderr.endswith("not confirmed; nothing was changed\n")
    assert len(titles()) == 5


def test_release(configure: Configure, call: Call, records: Records) -> None:
    call("run", "products")
    other = Path("catalogsync.toml").read_text().replace("jobs.products", "jobs.others")
    with Path("catalogsync.toml").open("a") as file:
        file.write(other)
    assert call("release", "others", "--yes").exit_code == 0
    assert len(titles()) == 5
    before = by_hand("SELECT id, title, description, status FROM product")
    result = CliRunner().invoke(cli, ["release", "products"], input="y\n")
    assert result.exit_code == 0
    first = result.stdout.splitlines()[0]
    assert first.startswith("products: succeeded: released 5 products in ")
    assert first.endswith("; they stay in sql as they are")
    assert "removed" not in result.stdout
    latest = lines(call("runs"))[0]
    assert "5 released" in latest
    assert "removed" not in latest
    shown = lines(call("explain", "products", "1"))[1]
    assert shown.endswith(
        "removed: released: it stays in the sink as it is, without our key"
    )
    assert by_hand("SELECT id, title, description, status FROM product") == before
    nobody = [(None, None, None)] * 5
    assert by_hand("SELECT source, source_id, receipt FROM product") == nobody
    assert call("release", "products", "--yes").exit_code == 0
    configure('options.adopt = ["sku"]')
    result = call("run", "products")
    assert (result.exit_code, len(titles())) == (0, 5)
    assert by_hand("SELECT id, title, description, status FROM product") == before
