"""All that comes out of a run, to be searched for secrets."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from catalogsync import Options, Product, RetryPolicy, as_source, sync
from catalogsync.catalog.products import ProductKey

CONFIG = "catalogsync.toml"

# All but `sqlalchemy.pool`: on DEBUG, it has the words of a server that refuses a
# connection before we have; SECURITY.md says so.
_LOGGERS = (
    *("", "aiohttp.client", "aiosqlite", "asyncio", "asyncpg", "catalogsync"),
    *("sqlalchemy.engine", "stamina"),
)
_OPTIONS = Options(retry=RetryPolicy(attempts=2, wait_initial=0, wait_jitter=0))


@attrs.frozen
class Outputs:
    """What came out, by where it came out."""

    texts: list[tuple[str, str]] = attrs.field(factory=list[tuple[str, str]])

    def add(self, where: str, value: object) -> None:
        """Something that came out, as text and as a program shows it."""
        self.texts.extend([(where, str(value)), (where, repr(value))])

    def spill(self, error: BaseException) -> None:
        """An error, all that stands behind it, and how Python prints it."""
        lines = traceback.format_exception(error)
        self.add("traceback", "".join(lines))
        seen: list[BaseException] = []
        stack = [error]
        while stack:
            behind = stack.pop()
            if behind in seen:
                continue
            seen.append(behind)
            self.add("error", behind)
            self.add("error", vars(behind))
            if isinstance(behind, BaseExceptionGroup):
                stack += behind.exceptions
            stack += filter(None, (behind.__cause__, behind.__context__))

    def add_files(self, folder: Path) -> None:
        """All files in a folder, but for the configuration."""
        for file in folder.rglob("*"):
            if file.is_file() and file.name != CONFIG:
                self.add(file.name, file.read_bytes().decode(errors="replace"))

    def leaks(self, secrets: Mapping[str, str]) -> list[tuple[str, str, str]]:
        """Which secrets came out, and where."""
        return [
            (name, where, text[:2000])
            for where, text in self.texts
            for name, secret in secrets.items()
            if secret in text
        ]


class _Recorder(logging.Handler):
    def __init__(self, outputs: Outputs) -> None:
        super().__init__()
        self._outputs = outputs

    def emit(self, record: logging.LogRecord) -> None:
        self._outputs.add(f"log {record.name}", self.format(record))
        self._outputs.add(f"log {record.name}", vars(record))


@contextmanager
def everything_logged(outputs: Outputs) -> Iterator[None]:
    """Treats everything logged in the block, at any level, as output."""
    recorder = _Recorder(outputs)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    loggers[0].addHandler(recorder)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        loggers[0].removeHandler(recorder)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


async def sync_into(settings: Any) -> Outputs:
    """Open a sink and sync a product into it; all that comes out."""
    outputs = Outputs()
    outputs.add("settings", settings)
    source = as_source([Product(key=ProductKey("shop", "1"), title="Tea", tags=["a"])])
    with everything_logged(outputs):
        try:
            async with settings.open() as sink:
                outputs.add("sink", sink)
                report = await sync(
                    source,
                    sink,
                    options=_OPTIONS,
                    hooks=[lambda event: outputs.add("event", event)],
                )
                outputs.add("report", report)
                outputs.add("report", json.dumps(report.to_dict()))
        except Exception as error:  # noqa: BLE001 - whatever it is, it comes out
            outputs.spill(error)
    return outputs


async def command(folder: Path, *arguments: str, environ: Mapping[str, str]) -> Outputs:
    """Call the command line in a folder: both streams, and all files but its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "catalogsync", *arguments),
        cwd=folder,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    outputs = Outputs()
    outputs.add("stdout", stdout.decode())
    outputs.add("stderr", stderr.decode())
    outputs.add_files(folder)
    return outputs
