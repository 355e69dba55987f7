"""The other commands, the help, and what happens without the extra."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from catalogsync.cli._commands import cli
from catalogsync.testing import FaultPlan
from catalogsync.testing.faults import status

from .conftest import Configure

Call = Callable[..., Result]


def test_check(configure: Configure, call: Call, server: str) -> None:
    """Both sides report their findings, and the state store can be opened."""
    result = call("check", "products")
    assert result.exit_code == 0
    assert result.stdout == (
        f"ok  source: {server} has 5 products\n"
        "ok  source: abilities: get, select, check, requests\n"
        "ok  sink: till: password ***\nok  sink: abilities: check\n"
        "ok  state store: can be opened\n"
    )
    assert not Path("shop.bin").exists()


@pytest.mark.parametrize("mode", ["bad", "locked"])
def test_check_finds_something(
    configure: Configure, call: Call, faults: FaultPlan, mode: str
) -> None:
    """Both sides are checked even if one fails; the status is 2."""
    configure(f'sink.mode = "{mode}"')
    faults.add(status(404))
    result = call("check", "products", "-v")
    assert result.exit_code == 2
    lines = result.stdout.splitlines()
    source, sink, store = (line for line in lines if " abilities: " not in line)
    assert source.startswith("BAD source: url: ")
    assert source.endswith("HTTP 404; is this a DummyJSON server?")
    assert sink.startswith("BAD sink: ")
    assert store.startswith("ok  state store: ")


def test_check_of_a_state_store_that_cannot_be_opened(
    configure: Configure, call: Call
) -> None:
    Path("no-folder").write_text("")
    config = Path("catalogsync.toml")
    config.write_text(
        '[state]\nurl = "sqlite:///no-folder/runs.db"\n' + config.read_text()
    )
    result = call("check", "products")
    assert result.exit_code == 2
    assert result.stdout.splitlines()[-1].startswith(
        "BAD state store: the folder of the "
    )


def test_check_of_a_side_without(configure: Configure, call: Call) -> None:
    """A side that has no check is opened."""
    configure('sink.mode = "plain"')
    result = call("check", "products")
    assert result.exit_code == 0
    assert "ok  sink: can be opened\n" in result.stdout
    assert (
        "ok  sink: abilities: owned, sells_out, find_foreign, endpoint\n"
        in result.stdout
    )


def test_adapters(configure: Configure, call: Call) -> None:
    """All adapters with their settings, those of others as well."""
    result = call("adapters")
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "source dummyjson (catalogsync.adapters.dummyjson)\n"
        "  The product API of DummyJSON as a source.\n"
        '    url: str = "https://dummyjson.com"\n'
        "        Address of the server.\n"
    )
    assert "\nsink sql (catalogsync.adapters.sql)\n" in result.stdout
    assert "\n    password: str, secret\n" in result.stdout
    assert "\n    file: Path, required\n" in result.stdout


def test_broken_adapter(
    configure: Configure, call: Call, plugins: Path, tmp_path: Path
) -> None:
    """An adapter that cannot be loaded is listed with the reason."""
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: b\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[catalogsync.sources]\nb = no_such:B\n")
    before = sys.path[:]
    sys.path.insert(0, str(tmp_path))
    try:
        result = call("adapters")
    finally:
        sys.path[:] = before
    assert "source b (no_such)\n  cannot be used: no_such:B cannot" in result.stdout


def test_demo(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    """The whole catalog once, unchanged the second time; another source by URL."""
    monkeypatch.chdir(tmp_path)
    first = call("demo", "--products", "30")
    assert first.exit_code == 0
    assert "30 products in 24 categories" in first.stdout
    assert "demo: succeeded: 30 fetched = 30 created" in first.stdout
    second = call("demo", "--products", "30")
    assert "demo: succeeded: 30 fetched = 30 unchanged" in second.stdout
    report = json.loads(Path("demo/report.json").read_text())
    assert (report["writes"], report["categories"]["existing"]) == (0, 24)
    database = sqlite3.connect("demo/catalog.db")
    assert database.execute("SELECT count(*) FROM product").fetchone() == (30,)
    database.close()
    other = call("demo", "--source", server, "--directory", "a/b")
    assert f"The catalog is at {server}." in other.stdout
    assert "5 fetched = 5 created" in other.stdout
    assert Path("a/b/catalog.db").exists()


def test_demo_without_a_place(call: Call, tmp_path: Path) -> None:
    """A folder that cannot be made."""
    (tmp_path / "file").write_text("")
    result = call("demo", "--directory", str(tmp_path / "file" / "demo"))
    assert result.exit_code == 2
    assert "error: --directory: " in result.stderr


@pytest.mark.parametrize("name", [None, *sorted(cli.commands)])
def test_help(call: Call, name: str | None) -> None:
    """Every command says what it does, and so does each of its options."""
    command: click.Command = cli if name is None else cli.commands[name]
    assert command.help
    for option in command.params:
        assert isinstance(option, click.Argument) or option.help  # type: ignore[attr-defined]
    result = call(*([name] if name else []), "--help")
    assert result.exit_code == 0
    assert command.help.splitlines()[0][:30] in result.stdout


def test_version(call: Call) -> None:
    """The version of the installed package."""
    assert call("--version").stdout.startswith("catalogsync, version ")


def test_options_before_the_command(configure: Configure, call: Call) -> None:
    """What commands share can stand in front of them; behind, it is stronger."""
    Path("catalogsync.toml").rename("other.toml")
    before = ("--config", "other.toml", "--report", "report.json", "--no-progress")
    result = call(*before, "run", "products")
    assert (result.exit_code, result.stderr) == (0, "")
    assert Path("report.json").exists()
    result = call("-v", *before, "run", "products", "--config", "missing.toml")
    assert result.stderr.startswith(
        "error: missing.toml: the file does not exist\nTrac"
    )


@pytest.mark.parametrize("command", ["plan", "run"])
def test_nobody_reads(configure: Configure, plugins: Path, command: str) -> None:
    """A closed output causes no traceback, and the report is written."""
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "catalogsync",
            command,
            "products",
            "--report",
            "r.json",
        ],
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(plugins)},
        check=False,
    )
    os.close(theirs)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert Path("r.json").exists() == (command == "run")


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra(tmp_path: Path, missing: str) -> None:
    """One line that says what to install."""
    (tmp_path / f"{missing}.py").write_text("raise ImportError\n")
    done = subprocess.run(
        [sys.executable, "-m", "catalogsync"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    expected = "error: the command line needs: pip install 'catalogsync[cli]'\n"
    assert done.stderr == expected


def test_text_that_the_terminal_lacks(
    start: Callable[..., subprocess.Popen[str]],
    monkeypatch: pytest.MonkeyPatch,
    records: list[dict[str, str]],
) -> None:
    """A character outside the terminal's encoding breaks nothing off."""
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    records[0]["title"] = "Grün 茶"
    process = start("plan", "products", encoding="latin-1")
    output, _ = process.communicate()
    assert process.returncode == 0
    assert 'title: "Gr\xfcn \\u8336"' in output
