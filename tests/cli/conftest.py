"""A configuration, a server and a way to call the command line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from catalogsync.cli._commands import cli
from catalogsync.testing import (
    FaultPlan,
    dummyjson_app,
    generate_catalog,
    serve_in_thread,
)
from catalogsync.testing.dummyjson import Records

CANARY = "canary-7d1e9"
MODULE = "catalogsync_test_shop"


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the shop is installed."""
    folder = tmp_path_factory.mktemp("plugins")
    shutil.copy(Path(__file__).with_name(f"{MODULE}.py"), folder)
    info = folder / "shop-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    entry = f"[catalogsync.sinks]\nshop = {MODULE}:ShopSettings\n"
    (info / "entry_points.txt").write_text(entry)
    return folder


@pytest.fixture
def records() -> Records:
    """The products of the server."""
    return Records(generate_catalog(5, 2, awkward=False))


@pytest.fixture
def faults() -> FaultPlan:
    """What goes wrong in the server."""
    return FaultPlan()


@pytest.fixture
def server(records: Records, faults: FaultPlan) -> Iterator[str]:
    """The address of a DummyJSON server with five products."""
    with serve_in_thread(lambda: dummyjson_app(records, faults=faults)) as url:
        yield url


Configure = Callable[..., None]


@pytest.fixture
def configure(
    server: str, tmp_path: Path, plugins: Path, monkeypatch: pytest.MonkeyPatch
) -> Configure:
    """Write the configuration, with settings of the shop, and go where it is."""
    monkeypatch.syspath_prepend(plugins)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_PASSWORD", CANARY)
    monkeypatch.delenv("CATALOGSYNC_CONFIG", raising=False)

    def configure(more: str = "", url: str = server) -> None:
        Path("catalogsync.toml").write_text(
            f"""
            [jobs.products]
            source = {{ type = "dummyjson", url = "{url}", page_size = 2 }}
            sink.type = "shop"
            sink.file = "shop.bin"
            sink.password = "${{SHOP_PASSWORD}}"
            options.retry = {{ attempts = 2, wait_initial = 0, wait_jitter = 0 }}
            {more}
            """
        )

    configure()
    return configure


@pytest.fixture
def call() -> Callable[..., Result]:
    """Call the command line within this process."""

    def call(*arguments: str) -> Result:
        result = CliRunner().invoke(cli, arguments)
        assert CANARY not in result.output
        return result

    return call


@pytest.fixture(autouse=True)
def hangups() -> Iterator[None]:
    """Processes hear of hangups, also where the tests themselves run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def start(
    configure: Configure, plugins: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command line in a process."""
    started: list[subprocess.Popen[str]] = []

    def start(
        *arguments: str, encoding: str = "utf-8", start_new_session: bool = False
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "catalogsync", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding=encoding,
            start_new_session=start_new_session,
            env={**os.environ, "PYTHONPATH": str(plugins)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
