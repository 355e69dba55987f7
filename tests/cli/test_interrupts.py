"""Ctrl-C and SIGTERM, on real processes."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from catalogsync.cli._interrupts import Stopper, interrupts
from catalogsync.testing import FaultPlan
from catalogsync.testing.faults import delay

from .conftest import CANARY, Configure

Start = Callable[..., subprocess.Popen[str]]

STOPPING = "stopping after the batches in flight; once more to stop at once\n"


def lines_until(process: subprocess.Popen[str], wanted: str) -> list[str]:
    """Read the process's errors until a line comes."""
    lines: list[str] = []
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line)
        if wanted in line:
            return lines
    raise AssertionError(f"{wanted!r} did not come: {lines}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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
    assert "products: incomplete: 2 fetched = " in output
    assert "stopped by the user" in output
    report = json.loads(Path("report.json").read_text())
    assert report["status"] == "incomplete"


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
    assert "fetched; what became of the batches in flight is not known" in errors
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


async def test_event_loop_without_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the loop has no signal handlers, Python's own do."""

    def refuse(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", refuse)
    before = signal.getsignal(signal.SIGTERM)
    arrived = asyncio.Event()
    with interrupts(arrived.set):
        signal.raise_signal(signal.SIGTERM)
        await arrived.wait()
    assert signal.getsignal(signal.SIGTERM) is before


async def test_stopper_without_a_run() -> None:
    """An interrupt cancels what has not begun."""
    task = asyncio.current_task()
    assert task is not None
    stopper = Stopper(task=task, say=lambda _: None)
    stopper()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.Event().wait()
    task.uncancel()
    assert stopper.times == 1
