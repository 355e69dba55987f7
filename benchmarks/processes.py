"""The other processes: servers, a real Medusa, and what is measured."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import attrs

ROOT = Path(__file__).parent.parent
_STORE = ROOT / "examples" / "medusa-store" / "store.mjs"
_COMPILED = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
"""The environment of what is measured: nobody compiles a library at every start."""


@attrs.frozen
class Server:
    """A server that runs beside us and obeys lines of JSON.

    Attributes:
        told: What it said when it was ready, such as its `url`.
    """

    process: subprocess.Popen[str] = attrs.field(repr=False)
    told: dict[str, Any]

    @property
    def url(self) -> str:
        """Its address."""
        return str(self.told["url"])

    def do(self, trigger: str) -> None:
        """Let it do something, such as `empty`."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": trigger}) + "\n")
        self.process.stdin.flush()
        answer = _line(self.process)
        if answer.get("done") != trigger:
            raise RuntimeError(f"the store failed: {answer}")


def _line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended without a word")
    answer: dict[str, Any] = json.loads(line)
    return answer


@contextlib.contextmanager
def _running(command: list[str]) -> Generator[Server]:
    with subprocess.Popen(  # noqa: S603 - only our own commands
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Server(process, _line(process))
        process.communicate()  # It ends with its standard input.


@contextlib.contextmanager
def source(products: int, file: Path | None = None) -> Generator[Server]:
    """A DummyJSON server."""
    command = [sys.executable, "-m", "benchmarks.serving", "source"]
    command += ["--file", str(file.resolve())] if file else []
    with _running([*command, "--products", str(products)]) as server:
        yield server


@contextlib.contextmanager
def fake_store() -> Generator[Server]:
    """The fake Medusa, which is fast."""
    with _running([sys.executable, "-m", "benchmarks.serving", "store"]) as server:
        yield server


@contextlib.contextmanager
def real_store(data: Path) -> Generator[Server]:
    """A real Medusa with its database; the first start takes half a minute."""
    command = ["node", str(_STORE), "start", "--json", "--data", str(data.resolve())]
    with _running(command) as server:
        yield server


def work(kind: str, job: dict[str, Any]) -> dict[str, Any]:
    """Do a job of `benchmarks.worker` in a fresh process; what it measured."""
    return run(["-m", "benchmarks.worker", kind], job)


def run(arguments: list[str], told: dict[str, Any]) -> dict[str, Any]:
    """Run a Python process that reads JSON and prints some.

    Returns:
        What it printed, and what the whole process took, from its start to its end:
        `seconds`, and `cpu_seconds` of user and system.
    """
    started, used = time.perf_counter(), _used()
    done = subprocess.run(  # noqa: S603 - only our own commands
        [sys.executable, *arguments],
        cwd=ROOT,
        env=_COMPILED,
        input=json.dumps(told),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds, cpu = time.perf_counter() - started, _used() - used
    result: dict[str, Any] = json.loads(done.stdout)
    return {**result, "seconds": seconds, "cpu_seconds": cpu}


def _used() -> float:
    """CPU seconds of all processes that we started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def import_times(code: str) -> str:
    """What `python -X importtime` tells of some code."""
    done = subprocess.run(  # noqa: S603 - only our own commands
        [sys.executable, "-X", "importtime", "-c", code],
        cwd=ROOT,
        env=_COMPILED,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stderr


def machine() -> str:
    """What this ran on, and how busy it was."""
    python = ".".join(map(str, sys.version_info[:3]))
    load = ", ".join(f"{n:.1f}" for n in os.getloadavg())
    return f"Python {python}, {os.cpu_count()} cores, load {load} at the start"
