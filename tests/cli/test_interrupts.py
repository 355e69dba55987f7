"""Ctrl-C, SIGTERM and SIGHUP, on real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from catalogsync.cli._signals import InterruptHandler, _Signals, interrupts
from catalogsync.testing import FaultPlan
from catalogsync.testing.faults import delay

from .conftest import CANARY, Configure

Start = Callable[..., subprocess.Popen[str]]

STOPPING = "finishing in-flight batches; press Ctrl-C again to stop immediately\n"


def lines_until(process: subprocess.Popen[str], desired: str) -> list[str]:
    """Read the process's errors until a line comes."""
    lines: list[str] = []
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line)
        if desired in line:
            return lines
    raise AssertionError(f"{desired!r} did not come: {lines}")


STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", STOPS)
def test_stop_in_order(
    configure: Configure, start: Start, faults: FaultPlan, number: signal.Signals
) -> None:
    """The first signal ends the run in order: there is a summary and a report."""
    faults.add(delay(asyncio.Event(), path="*skip=1*"))
    process = start("run", "products", "--report", "report.json")
    lines_until(process, "1 page")
    process.send_signal(number)
    output, errors = process.communicate()
    assert process.returncode == 130
    assert STOPPING in errors
    assert "products: cancelled: 2 fetched = " in output
    assert "stopped by the user" in output
    report = json.loads(Path("report.json").read_text())
    assert report["status"] == "cancelled"


@pytest.mark.parametrize("number", STOPS)
def test_a_signal_for_the_process_and_its_group(
    configure: Configure,
    start: Start,
    faults: FaultPlan,
    number: signal.Signals,
) -> None:
    """As `timeout` sends it, and wrappers that pass on what a terminal has sent."""
    faults.add(delay(asyncio.Event(), path="*skip=1*"))
    command = ("run", "products", "--report", "report.json")
    process = start(*command, start_new_session=True)
    lines_until(process, "1 page")
    os.kill(process.pid, number)
    os.killpg(process.pid, number)
    output, errors = process.communicate()
    assert (process.returncode, errors.count(STOPPING)) == (130, 1)
    assert "products: cancelled: 2 fetched = " in output
    assert json.loads(Path("report.json").read_text())["status"] == "cancelled"


TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(2, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "catalogsync", *sys.argv[1:]])
"""


def test_a_terminal_that_closes(
    configure: Configure, plugins: Path, faults: FaultPlan
) -> None:
    """Nobody reads any more, and the run ends in order all the same."""
    faults.add(delay(asyncio.Event(), path="*skip=1*"))
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", TERMINAL, "run", "products", "--report", "report.json"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(plugins)},
    )
    os.close(theirs)
    shown = b""
    while b" of 5 products" not in shown:
        shown += os.read(ours, 1 << 16)
    os.close(ours)
    assert process.wait() == 130
    assert json.loads(Path("report.json").read_text())["status"] == "cancelled"


async def test_signals_within_a_moment_are_one_request() -> None:
    """Whichever they are; later ones are another."""
    now, calls = [0.0], list[float]()
    signals = _Signals(
        loop=asyncio.get_running_loop(),
        handler=lambda: calls.append(now[0]),
        clock=lambda: now[0],
    )
    signals.install()
    for at in (0.0, 0.0, 0.1, 0.4, 1.0, 1.1, 9.0):
        now[0] = at
        for number in STOPS:
            signal.raise_signal(number)
        await asyncio.sleep(0)
    signals.leave()
    assert calls == [0.0, 1.0, 9.0]


async def test_what_is_said_of_the_next_signal_holds() -> None:
    """It is said when another one would count, or at the end."""
    said = asyncio.Event()
    with interrupts(lambda: None, said.set):
        signal.raise_signal(signal.SIGTERM)
        await said.wait()
    calls: list[str] = []
    with interrupts(lambda: calls.append("stop"), lambda: calls.append("said")):
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0)
    assert calls == ["stop", "said"]


async def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    """As `nohup` has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts(lambda: None):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_stop_at_once(configure: Configure, start: Start) -> None:
    """The second signal does not wait for the batch that hangs."""
    configure('sink.mode = "hold"')
    process = start("run", "products", "-v")
    lines_until(process, "the shop is busy")
    process.send_signal(signal.SIGINT)
    lines_until(process, STOPPING)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert process.returncode == 130
    assert "fetched; in-flight batches have an unknown outcome" in errors
    assert errors.endswith("interrupted\n")
    assert "Traceback" not in errors
    assert CANARY not in output + errors


@pytest.mark.parametrize("command", ["run", "plan", "check"])
def test_interrupt_while_opening(
    configure: Configure, start: Start, command: str
) -> None:
    """Where nothing runs yet, the first signal ends everything."""
    configure('sink.mode = "slow"')
    process = start(command, "products")
    lines_until(process, "the shop is busy")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (130, "interrupted\n")


async def test_outside_the_main_thread() -> None:
    """In another thread signals are left alone."""

    async def inside() -> None:
        with interrupts(lambda: None):
            pass

    thread = threading.Thread(target=lambda: asyncio.run(inside()))
    before = signal.getsignal(signal.SIGTERM)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before


async def test_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in STOPS]
    arrived = asyncio.Event()
    with interrupts(arrived.set):
        signal.raise_signal(signal.SIGTERM)
        await arrived.wait()
    assert [signal.getsignal(number) for number in STOPS] == before


async def test_stopper_without_a_run() -> None:
    """An interrupt cancels what has not begun."""
    task = asyncio.current_task()
    assert task is not None
    handler = InterruptHandler(task=task, say=lambda _: None)
    handler()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.Event().wait()
    task.uncancel()
    assert handler.times == 1
