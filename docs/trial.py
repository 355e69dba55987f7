"""A job to try the command line on, for pages that show what it prints."""

from __future__ import annotations

import datetime as dt
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner

from catalogsync.cli._commands import cli
from catalogsync.testing import dummyjson_app, generate_catalog, serve_in_thread
from catalogsync.testing.dummyjson import Records

_FIRST = dt.datetime(2026, 3, 2, 3, 0, 0).astimezone()
_RUN = re.compile(r"\b[0-9a-f]{12}(?:[0-9a-f]{20})?\b")


@attrs.define
class Trial:
    """A job `products`, in the working directory; each call is a day later.

    Attributes:
        source: The records at the source.
        calls: How many there were.
    """

    source: Records
    calls: int = 0
    _runs: dict[str, str] = attrs.field(factory=dict[str, str], init=False)

    def __call__(self, line: str, status: int = 0) -> None:
        """Call `catalogsync` and print what it prints.

        Args:
            line: Command and arguments.
            status: The exit status that it must have.
        """
        now = (_FIRST + dt.timedelta(days=self.calls)).timestamp()
        self.calls += 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("time.time", lambda: now)
            done = CliRunner().invoke(cli, ["--no-progress", *shlex.split(line)])
        if done.exit_code != status:
            raise AssertionError(f"{done.exit_code}: {done.output}") from done.exception
        sys.stdout.write(self._told(done.output))

    def _told(self, text: str) -> str:
        """The same text each time."""
        text = text.replace(str(Path.cwd()), "/srv/shop")
        text = re.sub(r"about \d+ s", "about 0 s", text)
        return _RUN.sub(self._run, text)

    def _run(self, match: re.Match[str]) -> str:
        made_up = f"{0xA3F1C85D20E7 * (7 + len(self._runs)) % (1 << 48):012x}"
        return self._runs.setdefault(match[0][:12], made_up)


@contextmanager
def trial(options: str = "") -> Iterator[Trial]:
    """Serve 20 products and write a configuration for them.

    Args:
        options: Of the job, as TOML.
    """
    records = Records(generate_catalog(20))
    with serve_in_thread(lambda: dummyjson_app(records)) as url:
        Path("catalogsync.toml").write_text(
            "[state]\nkeep_days = 100000\n[jobs.products]\n"
            f'source = {{ type = "dummyjson", url = "{url}", max_requests = 0 }}\n'
            'sink = { type = "sql", url = "sqlite:///catalog.db" }\n'
            f"options = {{ {options} }}\n",
            encoding="utf-8",
        )
        yield Trial(records)
