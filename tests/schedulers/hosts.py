"""Real schedulers, started on the files of `examples/schedulers` as a user would."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

import attrs

from catalogsync import StateSettings
from catalogsync.state import RunRecord
from catalogsync.testing import FaultPlan, dummyjson_server, generate_catalog
from catalogsync.testing.dummyjson import Records

EXAMPLES = Path(__file__).parents[2] / "examples" / "schedulers"
BIN = Path(sys.executable).parent
PRODUCTS = 5


@attrs.frozen
class Program:
    """A process of a scheduler.

    Attributes:
        command: What to call, in the folder with the examples.
        port: Where it listens; the next one is started when it does.
    """

    command: Sequence[str | Path]
    port: int | None = None


@attrs.frozen
class Fired:
    """What came of a schedule.

    Attributes:
        runs: All that began, the last first, as they stand in the store afterwards.
        statuses: How the programs ended when they were asked to.
        log: What they said.
    """

    runs: Sequence[RunRecord]
    statuses: Sequence[int | None]
    log: str


@attrs.frozen(kw_only=True)
class Shop:
    """A folder with the examples, beside a source of five products.

    Attributes:
        folder: Where the files are.
        environ: Environment of the schedulers and the job.
        records: The products of the source.
        port: A free one, for a scheduler's own server.
    """

    folder: Path
    environ: Mapping[str, str]
    records: Records
    port: int

    async def fire(
        self,
        *programs: Program,
        runs: int = 1,
        ended: bool = True,
        patience: float = 60,
    ) -> Fired:
        """Start a scheduler, wait for runs that it starts, and end it in order.

        Args:
            programs: Started one after the other, ended the other way round.
            runs: How many.
            ended: Wait until they have ended; False: only until they began.
            patience: Seconds that they may take altogether.

        Raises:
            RuntimeError: They did not come, or a program ended by itself.
        """
        log = self.folder / "log.txt"
        processes: list[asyncio.subprocess.Process] = []
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(patience):
                    for program in programs:
                        processes.append(await self._start(program, log))
                        stack.push_async_callback(_end, processes[-1])
                        if program.port:
                            await _listening(program.port, processes)
                    while len(await self._runs(ended=ended)) < runs:
                        await _still_there(processes)
            except (TimeoutError, RuntimeError) as error:
                message = log.read_text()[-6000:]
                raise RuntimeError(f"{error!r}\n{message}") from error
        statuses = [process.returncode for process in processes]
        return Fired(await self._runs(), statuses, log.read_text())

    async def _start(self, program: Program, log: Path) -> asyncio.subprocess.Process:
        with log.open("ab") as out:
            return await asyncio.create_subprocess_exec(
                *program.command,
                cwd=self.folder,
                env=self.environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    async def _runs(self, *, ended: bool = False) -> Sequence[RunRecord]:
        async with StateSettings(url=self.environ["STORE_URL"]).open() as store:
            runs = await store.runs(job="products")
        return [run for run in runs if run.status or not ended]


async def _listening(
    port: int, processes: Sequence[asyncio.subprocess.Process]
) -> None:
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await _still_there(processes)


async def _still_there(processes: Sequence[asyncio.subprocess.Process]) -> None:
    """Let a moment pass; complain if a program has ended."""
    await asyncio.sleep(0.1)
    for process in processes:
        if process.returncode is not None:
            raise RuntimeError(f"a program ended with status {process.returncode}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask a program to end; then end what it left behind."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 30)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


@contextlib.asynccontextmanager
async def open_shop(
    folder: Path, *, programs: Path | None = None, faults: FaultPlan | None = None
) -> AsyncGenerator[Shop]:
    """Lay out the examples in a folder, and serve five products.

    Args:
        folder: Where to; it is also the schedulers' home.
        programs: The folder with the schedulers' programs; None: where Python is.
        faults: What goes wrong in the source.
    """
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    programs, port = programs or BIN, free_port()
    async with dummyjson_server(generate_catalog(PRODUCTS), faults=faults) as server:
        yield Shop(
            folder=folder,
            records=server.records,
            port=port,
            environ={
                "PATH": f"{programs}:{os.environ['PATH']}",
                "HOME": f"{folder}",
                "DUMMYJSON_URL": server.url,
                "CATALOG_URL": f"sqlite:///{folder}/catalog.db",
                "STORE_URL": f"sqlite:///{folder}/runs.db",
                "SYNC_EVERY": "1",
                "SYNC_CRON": "* * * * *",
                "BROKER_URL": f"redis://127.0.0.1:{port}/0",
            },
        )


def counts(run: RunRecord) -> Mapping[str, int]:
    """The counts of a run, without zeros."""
    assert run.report is not None
    return {name: n for name, n in attrs.asdict(run.report.counts).items() if n}


def installed(shop: Shop, name: str) -> Path:
    """Adapt a file without Python in it to where things are, and due each minute."""
    (shop.folder / ".venv").symlink_to(BIN.parent)
    text = (shop.folder / name).read_text()
    for old, new in {
        "0 3 * * *": "* * * * *",
        "/srv/shop": f"{shop.folder}",
        "https://dummyjson.com": shop.environ["DUMMYJSON_URL"],
        "MAILTO=shop@example.com": 'MAILTO=""',
    }.items():
        text = text.replace(old, new)
    file = shop.folder / "installed" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def cron(shop: Shop) -> list[Program]:
    """Debian's cron, which sees no crontab but ours."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    file = installed(shop, "crontab")
    file.chmod(0o600)
    file = file.rename(file.with_name(user))
    private = (
        "mount -t tmpfs none /run && mount -t tmpfs none /etc/cron.d"
        " && mount --bind /dev/null /etc/crontab"
        f" && mount --bind '{file.parent}' /var/spool/cron/crontabs && exec cron -f"
    )
    return [Program(["unshare", "--mount", "sh", "-c", private])]


def celery(shop: Shop) -> list[Program]:
    """A Redis of our own, a worker and beat."""
    redis = f"redis-server --bind 127.0.0.1 --port {shop.port} --save".split()
    call = ["celery", "-A", "celery_beat"]
    return [
        Program([*redis, ""], shop.port),
        Program([*call, "worker", "--concurrency", "1", "--loglevel", "info"]),
        Program([*call, "beat"]),
    ]


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
