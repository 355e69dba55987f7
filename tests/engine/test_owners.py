"""Leases of dead processes, distinguished from those of running ones."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from catalogsync import BusyError, Options, RunStatus, StateSettings, as_source, sync
from catalogsync.engine.owners import is_dead, this_process

from .fakes import FAST, catalog
from .shop import Shop

_NAMES = """
    import sys
    from catalogsync.engine.owners import this_process
    print(this_process(), flush=True)
    sys.stdin.readline()
"""
_RUNS = """
    import asyncio, sys
    from catalogsync import Options, StateSettings, as_source, sync
    from tests.engine.fakes import catalog
    from tests.engine.shop import Shop

    async def wait(*_):
        print("writing", flush=True)
        await asyncio.Event().wait()

    async def main():
        shop = Shop()
        shop.before.append(wait)
        async with StateSettings(url=sys.argv[1]).open() as store:
            await sync(as_source(catalog(3), name="shop"), shop, job="a", state=store)

    asyncio.run(main())
"""


@contextmanager
def child(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that says a line and waits; at the end it has ended."""
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    with subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_process_that_runs_and_one_that_has_ended() -> None:
    with child(_NAMES) as process:
        owner = line(process)
        assert f"process {process.pid} " in owner
        assert not is_dead(owner)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(owner), "it is a zombie"
    assert is_dead(owner)


def test_a_process_id_that_was_used_again() -> None:
    """This process has the id, and started at another time."""
    with child(_NAMES) as process:
        owner = line(process)
    again = re.sub(r"process \d+", f"process {os.getpid()}", owner)
    assert is_dead(again)
    assert not is_dead(this_process())


def test_somebody_elses_process() -> None:
    """It may not be signalled, and it is there."""
    owner = re.sub(r"process \d+ ", "process 1 ", this_process())
    started = Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
    assert not is_dead(re.sub(r"tick \d+", f"tick {started}", owner))


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"boot \w+", "boot 000000000000"),  # another machine, boot or container
        (r" \(.*", ""),  # as where /proc is not known
        (r"tick \d+", "tick x"),
        (r"tick", "clock"),
        (r"\)$", ") or so"),
        (r"process \d+", "process -1"),
    ],
)
def test_what_cannot_be_known_counts_as_running(pattern: str, replacement: str) -> None:
    with child(_NAMES) as process:
        owner = line(process)
    assert is_dead(owner)
    assert not is_dead(re.sub(pattern, replacement, owner))


@given(st.text())
def test_any_text(text: str) -> None:
    assert not is_dead(text)
    assert not is_dead(f"{text}, process {os.getpid()}")


async def test_the_run_after_one_that_was_killed_begins_at_once(tmp_path: Path) -> None:
    """Before that, it is refused; the lease would last for a minute more."""
    url, shop = f"sqlite:///{tmp_path}/runs.db", Shop()

    async def run() -> RunStatus:
        async with StateSettings(url=url).open() as store:
            source = as_source(catalog(3), name="shop")
            options = Options(retry=FAST, grace=0)
            report = await sync(source, shop, options=options, job="b", state=store)
        return report.status

    with child(_RUNS, url) as process:
        assert await asyncio.to_thread(line, process) == "writing"
        with pytest.raises(BusyError, match=f"locked by .*process {process.pid}"):
            await run()
    assert await run() is RunStatus.SUCCEEDED
