"""`catalogsync run`: what it does, prints and exits with."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from click.testing import Result

from catalogsync import MemorySink, as_source, sync
from catalogsync.cli._output import Terminal
from catalogsync.cli._runs import RunResult
from catalogsync.cli._session import Session
from catalogsync.testing import FaultPlan
from catalogsync.testing.faults import status

from .conftest import CANARY, Configure

Call = Callable[..., Result]


def test_succeeded(configure: Configure, call: Call) -> None:
    """The summary goes to the standard output, progress to the other; status 0."""
    result = call("run", "products", "--report", "report.json")
    assert result.exit_code == 0
    assert result.stdout.startswith("products: succeeded: 5 fetched = 5 created in ")
    assert "\n  5 products/s" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("3 pages, 5 of 5 products, ")
    report = json.loads(Path("report.json").read_text())
    assert (report["job"], report["counts"]["created"]) == ("products", 5)
    again = call("run", "products", "--no-progress")
    assert "5 fetched = 5 unchanged" in again.stdout
    assert again.stderr == ""
    assert sorted(path.name for path in Path().iterdir()) == [
        ".catalogsync",
        "catalogsync.toml",
        "report.json",
        "shop.bin",
    ]


def test_an_unchanged_file(tmp_path: Path, configure: Configure, call: Call) -> None:
    """It is read once, and again with `--full`; the next run is skipped, too."""
    Path("shop.csv").write_text("id,title\n1,Cup\n")
    Path("catalogsync.toml").write_text(
        """
        [jobs.files.source]
        type = "table"
        name = "s"
        location = "shop.csv"
        map = { key = "id", title = "title" }
        [jobs.files.sink]
        type = "sql"
        url = "sqlite:///shop.db"
        [jobs.files.options]
        skip_unchanged = true
        """
    )
    first = call("run", "files", "--no-progress")
    assert "1 fetched = 1 created" in first.stdout
    for options, text in (
        ((), "skipped: 0 fetched"),
        (("--full",), "1 fetched = 1 unchanged"),
        ((), "the source has not changed since run "),
    ):
        again = call("run", "files", "--no-progress", *options)
        assert (again.exit_code, text in again.stdout) == (0, True), again.stdout


def test_chosen_products(configure: Configure, call: Call) -> None:
    """Keys with and without the source's name, and a limit."""
    result = call("run", "products", "--key", "4", "--key", "dummyjson:5")
    assert "2 fetched = 2 created" in result.stdout
    result = call("run", "products", "--limit", "3")
    assert "3 fetched = 3 created" in result.stdout
    result = call("run", "products", "--key", "99")
    assert result.exit_code == 1
    assert "the source does not have dummyjson:99" in result.stdout
    result = call("run", "products", "--key", "")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: --key: invalid key '': id: must not be")
    assert call("run", "products", "--limit", "0").exit_code == 2


def test_degraded(configure: Configure, call: Call) -> None:
    """Some products failed: status 1, the sink's words, and no escape codes."""
    configure('sink.mode = "picky"')
    result = call("run", "products")
    assert result.exit_code == 1
    assert 'failed dummyjson:2: not this ("\\x1b[31mno!")' in result.stdout
    assert "\x1b" not in result.output


def test_defect(configure: Configure, call: Call) -> None:
    """A sink that breaks halfway: there is a report, and status 2."""
    configure('sink.mode = "defect"')
    result = call("run", "products", "--report", "report.json", "-v")
    assert result.exit_code == 2
    assert "products: failed: " in result.stdout
    text = Path("report.json").read_text()
    report = json.loads(text)
    assert report["status"] == "failed"
    assert "cannot write with ***" in report["problem"]
    assert CANARY not in text
    assert report["counts"]["created"] == 2


def test_unreachable(configure: Configure, call: Call) -> None:
    """A source that is down: one line, status 2, and no report."""
    configure(url="http://127.0.0.1:1")
    result = call("run", "products", "--report", "report.json")
    assert (result.exit_code, result.stdout) == (2, "")
    error = result.stderr.splitlines()[-1]
    assert error.startswith("error: GET http://127.0.0.1:1")
    assert "cannot connect" in error
    assert "Traceback" not in result.output
    assert not Path("report.json").exists()


def test_source_that_recovers(
    configure: Configure, call: Call, faults: FaultPlan
) -> None:
    """Retries are printed."""
    faults.add(status(503, path="*skip=1*", times=1))
    result = call("run", "products")
    assert result.exit_code == 0
    assert "(attempt 2): read page 2: GET " in result.stderr
    assert "1 retry" in result.stdout


def test_closing_fails(configure: Configure, call: Call) -> None:
    """What goes wrong after the run does not take its report away."""
    configure('sink.mode = "shut"')
    result = call("run", "products", "--report", "report.json")
    assert result.exit_code == 2
    assert "5 fetched = 5 created" in result.stdout
    assert "error: the shop does not close" in result.stderr
    assert Path("report.json").exists()


def test_closing_fails_without_a_report(configure: Configure, call: Call) -> None:
    """Without a report, the first error is printed."""
    configure('sink.mode = "shut"', url="http://127.0.0.1:1")
    result = call("run", "products")
    assert result.exit_code == 2
    assert result.stderr.count("error: ") == 1


def test_misconfigured(configure: Configure, call: Call) -> None:
    """An unknown job, an unknown key, a missing file: each a clear message."""
    result = call("run", "product")
    expected = "unknown job; did you mean `products`?; known: `products`"
    assert result.exit_code == 2
    assert result.stderr == f"error: jobs.product: {expected}\n"
    configure('sink.modus = "x"')
    result = call("run", "products")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: jobs.products.sink.modus: unknown key; did you mean `mode`?\n",
    )
    result = call("run", "products", "--config", "missing.toml")
    assert result.exit_code == 2
    assert result.stderr == "error: missing.toml: the file does not exist\n"


def test_config_from_the_environment(
    configure: Configure, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CATALOGSYNC_CONFIG names the file; the option is stronger."""
    Path("catalogsync.toml").rename("other.toml")
    monkeypatch.setenv("CATALOGSYNC_CONFIG", "other.toml")
    assert call("run", "products").exit_code == 0
    assert call("run", "products", "--config", "catalogsync.toml").exit_code == 2


def test_report_that_cannot_be_written(configure: Configure, call: Call) -> None:
    """If possible, the error comes before anything is written."""
    result = call("run", "products", "--report", "no/such/folder.json")
    assert result.exit_code == 2
    assert "error: --report: no/such is not a writable directory" in result.stderr
    assert not Path("shop.bin").exists()
    Path("report.json").mkdir()
    assert call("run", "products", "--report", "report.json").exit_code == 2


def test_half_of_a_surrogate_pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As JavaScript cuts an emoji in two: it is written as JSON and Python escape it."""
    empty = asyncio.run(sync(as_source([], name="shop"), MemorySink()))
    report = attrs.evolve(empty, problem='half "\ud83d" and 😀')
    session = Session(
        terminal=Terminal(),
        config=tmp_path,
        report=tmp_path / "report.json",
        progress=False,
        verbose=False,
    )
    RunResult(report).show(session)
    written = (tmp_path / "report.json").read_bytes().decode()
    assert '"half \\"\\ud83d\\" and 😀"' in written
    assert json.loads(written) == report.to_dict()
    assert 'half "\\ud83d" and 😀' in capsys.readouterr().out


def test_report_to_a_device(configure: Configure, call: Call) -> None:
    """A file that is not a regular one is written to, not replaced."""
    assert call("run", "products", "--report", "/dev/null").exit_code == 0
    assert not Path("/dev/null").is_file()
    result = call("run", "products", "--report", "/dev/full")
    assert result.exit_code == 2
    assert "error: /dev/full: cannot be written: No space left" in result.stderr


def test_unexpected_error(
    configure: Configure, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect: a short message, and where it was only with -v."""
    monkeypatch.setattr("catalogsync.cli._session.load_config", lambda *_, **__: 1 / 0)
    result = call("run", "products")
    assert result.exit_code == 2
    expected = "error: unexpected ZeroDivisionError: division by zero"
    assert result.stderr == f"{expected}; use -v for the traceback\n"
    result = call("run", "products", "-v")
    assert result.stderr.startswith(f"{expected}\nTraceback (most recent call last):")


@pytest.mark.parametrize("command", ["run", "plan", "check"])
@pytest.mark.parametrize("mode", ["locked", "defect", "bad", "shut", "picky"])
def test_no_secrets(configure: Configure, call: Call, command: str, mode: str) -> None:
    """The password is in no output, though the shop itself gives it away."""
    configure(f'sink.mode = "{mode}"')
    result = call(command, "products", "-v")
    assert CANARY not in result.output
    if mode == "locked":
        assert "the shop does not take ***" in result.output


def test_verbose(configure: Configure, call: Call) -> None:
    """Events are logged; afterwards the logger is as it was."""
    before = logging.getLogger("catalogsync").handlers[:]
    result = call("run", "products", "-v")
    assert "info: RunStarted: " in result.stderr
    assert "debug: PageRead: " in result.stderr
    assert logging.getLogger("catalogsync").handlers == before


def test_a_lane(configure: Configure, call: Call) -> None:
    """Products that are missing are skipped; unknown fields are errors."""
    assert call("run", "products", "--limit", "3").exit_code == 0
    result = call("run", "products", "--only", "stock,prices")
    assert result.exit_code == 0
    assert (
        "5 fetched = 3 unchanged + 2 skipped (only prices, stock) in" in result.stdout
    )
    planned = call("plan", "products", "--only", "stock")
    assert "2 skipped" in planned.stdout
    for only, problem in (
        ("stok", "--only: unknown field 'stok'; the fields are title,"),
        ("sku", "--only: sku can only be written by a run over all fields"),
        (",", "--only: unknown field ''"),
    ):
        result = call("run", "products", "--only", only)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"error: {problem}"), result.stderr
