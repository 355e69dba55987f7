"""`catalogsync serve` in a process."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from tests.web.sites import OPERATE, SECRET

__all__ = ["Served", "configure", "read_events", "serving", "skip_to", "untimed"]

_BOSS = {"Authorization": f"Bearer {OPERATE}"}
_LISTENING = re.compile(r"listening on (http://[^;]+); jobs: (.*)")


@attrs.define
class Served:
    """A process that serves.

    Attributes:
        process: The process.
        url: Where it listens.
    """

    process: subprocess.Popen[str]
    url: str = ""

    def line(self) -> str:
        """What it says next on its standard output, after the time."""
        assert self.process.stdout
        line = self.process.stdout.readline().rstrip("\n")
        return line if line.startswith("{") else untimed(line)

    def end(self) -> tuple[int, str, str]:
        """Its exit status, and what it still said, when it has ended."""
        output, errors = self.process.communicate()
        return self.process.returncode, output, errors


def untimed(line: str) -> str:
    """A line of the log without the time that it begins with."""
    time, _, text = line.partition(" ")
    assert dt.datetime.fromisoformat(time).utcoffset() == dt.timedelta()
    return text


def configure(folder: Path, source: str, serve: str = "", job: str = "") -> None:
    """Write a configuration with one job into a folder."""
    (folder / "catalogsync.toml").write_text(
        f"""
        [jobs.products]
        source = {{ type = "dummyjson", url = "{source}", page_size = 2 }}
        sink = {{ type = "sql", url = "sqlite:///catalog.db", batch = 2 }}
        schedule = "never"
        options.retry = {{ attempts = 2, wait_initial = 0, wait_jitter = 0 }}
        options.lease = 0.2
        options.when_busy = "wait"
        {job}
        [serve]
        port = 0
        {serve}
        [serve.tokens.boss]
        token = "${{SERVE_TOKEN}}"
        role = "operate"
        [serve.webhooks]
        products = ["${{SERVE_SECRET}}"]
        """
    )


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Served]:
    """Start it where the configuration is, and wait until it listens."""
    environ = {**os.environ, "SERVE_TOKEN": OPERATE, "SERVE_SECRET": SECRET}
    with subprocess.Popen(
        [sys.executable, "-m", "catalogsync", "serve", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    ) as process:
        try:
            served = Served(process)
            found = _LISTENING.search(served.line())
            served.url = found[1] if found else ""
            yield served
        finally:
            process.kill()


def read_events(url: str) -> Any:
    """The stream of events."""
    request = urllib.request.Request(f"{url}/api/events", headers=_BOSS)
    return urllib.request.urlopen(request, timeout=60)


def skip_to(events: Any, what: bytes) -> None:
    """Read lines until one contains a text."""
    for line in iter(events.readline, b""):
        if what in line:
            return
    raise AssertionError(f"the stream ended before {what!r}")
