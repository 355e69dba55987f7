"""Plans, made in the background and kept to be viewed and applied."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
import uuid
from array import array
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from catalogsync.config import Job
from catalogsync.errors import CatalogSyncError
from catalogsync.events import Event, PageRead, Retrying
from catalogsync.plans import Estimate, Plan, PlanWriter, estimate, plan_head
from catalogsync.report import Report
from catalogsync.service import Service

from . import _answers as api
from ._errors import RefusalError
from ._shapes import Tree, shape

logger = logging.getLogger("catalogsync.web")

_EARLIER = 20
_NO_REPORT: Tree = {"summary": "", "reasons": [], "counts": None, "categories": None}
_LISTS = ("failures", "rejected", "warnings", "manual_edits")


@attrs.define(kw_only=True, eq=False)
class Preview:
    """A plan in progress or ready; also the event hook of its making.

    Attributes:
        path: The plan file; complete when there is a report.
        plan_id: Id of the plan.
        began_at: Start, in seconds since the epoch.
        read: Number of records read so far.
        total: Number of records at the source, if the source reports it.
        retrying: Latest failure that is being retried; None after a success.
        report: Report of the plan; None: still in progress, or failed.
        expected: Estimate of what applying the plan takes.
        problem: Why the plan failed; empty: it did not.
        applied: Whether the plan was applied.
    """

    path: Path
    plan_id: str
    began_at: float = attrs.field(factory=time.time)
    read: int = 0
    total: int | None = None
    retrying: Retrying | None = None
    report: Report | None = None
    expected: Estimate | None = None
    problem: str = ""
    applied: bool = False
    _offsets: array[int] = attrs.field(factory=lambda: array("Q"))

    def __call__(self, event: Event, /) -> None:
        """Update the progress after an event."""
        if isinstance(event, PageRead):
            self.read += event.products + event.rejected
            self.total, self.retrying = event.total, None
        elif isinstance(event, Retrying):
            self.retrying = event

    @property
    def state(self) -> str:
        """`making`, `ready` or `failed`."""
        if self.problem:
            return "failed"
        return "making" if self.report is None else "ready"

    @property
    def changes(self) -> int:
        """Number of changes."""
        return len(self._offsets)

    def finish(self, report: Report, expected: Estimate) -> None:
        """Save the results once the file is complete."""
        self._offsets = _offsets(self.path)
        self.expected = expected
        self.report = report

    def to_dict(self, offset: int, limit: int) -> Tree:
        """The plan as JSON types, with one page of each of its lists."""
        # In this order: another thread finishes the plan, and sets the report last.
        state, report, expected = self.state, self.report, self.expected
        page: Tree = {name: [] for name in _LISTS}
        totals: Tree = dict.fromkeys(_LISTS, 0)
        estimated: Tree | None = None
        if report is not None:
            whole = {name: getattr(report, name) for name in _LISTS}
            totals = {name: len(items) for name, items in whole.items()}
            some = {n: items[offset : offset + limit] for n, items in whole.items()}
            page = attrs.evolve(report, **some).to_dict()
        if expected is not None:
            estimated = {**attrs.asdict(expected), "summary": str(expected)}
        parts: tuple[object, ...] = (
            {
                "state": state,
                "estimate": estimated,
                "offset": offset,
                "totals": {"changes": self.changes, **totals},
                "changes": self._changes(offset, limit),
                **{name: page[name] for name in _LISTS},
            },
            self,
            report or _NO_REPORT,
        )
        tree: Tree = shape(api.Plan, parts)
        return tree

    def _changes(self, offset: int, limit: int) -> list[object]:
        if offset >= len(self._offsets):
            return []
        with self.path.open("rb") as file:
            file.seek(self._offsets[offset])
            most = min(limit, len(self._offsets) - offset)
            return [_change(json.loads(line)) for line in itertools.islice(file, most)]


def _offsets(path: Path) -> array[int]:
    """Offsets of the changes in a plan file, without its first and last line."""
    offsets, position = array("Q"), 0
    with path.open("rb") as file:
        for line in file:
            offsets.append(position)
            position += len(line)
    return offsets[1:-1]


def _change(line: Tree) -> tuple[object, ...]:
    """The parts of a `Change`: of a product, a category or a tag."""
    if line["line"] == "product":
        given = {"title": line["title"] or ""}
    else:
        given = {"key": f"{line['line']}:{line['id']}", "title": line["name"]}
    return given, line, {"incomplete": [], "adopts": False}


@attrs.define
class Plans:
    """The latest plan of each job, in progress or ready."""

    service: Service
    _folder: TemporaryDirectory[str] | None = attrs.field(default=None, init=False)
    _previews: dict[str, Preview] = attrs.field(factory=dict[str, Preview], init=False)
    _tasks: dict[str, asyncio.Task[None]] = attrs.field(
        factory=dict[str, asyncio.Task[None]], init=False
    )
    _old: list[Path] = attrs.field(factory=list[Path], init=False)

    def is_making(self, job: str) -> bool:
        """Whether a plan of this job is in progress."""
        return job in self._tasks

    def begin(self, job: Job) -> Preview:
        """Start a plan in the background, in place of the previous one."""
        if self.is_making(job.name):
            raise RefusalError(409, "a plan of this job is already in progress")
        plan_id = uuid.uuid4().hex
        preview = Preview(path=self._file(plan_id), plan_id=plan_id)
        before = self._previews.get(job.name)
        if before is not None:
            self._old.append(before.path)
        self._drop_old()
        self._previews[job.name] = preview
        work = self._make(job, preview)
        task = asyncio.get_running_loop().create_task(work, name="catalogsync-plan")
        self._tasks[job.name] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.name, None))
        return preview

    def new_file(self, name: str) -> Path:
        """A path for the plan of a held run; the file is deleted after its use."""
        self._drop_old()
        path = self._file(name)
        self._old.append(path)
        return path

    def _file(self, name: str) -> Path:
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="catalogsync-plans-")
        return Path(self._folder.name, f"{name}.jsonl")

    def _drop_old(self) -> None:
        """Delete files of earlier plans, except those that a run is applying."""
        used = {s.plan.plan.path for s in self.service.states() if s.plan is not None}
        for path in set(self._old) - used:
            path.unlink(missing_ok=True)
            self._old.remove(path)

    def find(self, job: str) -> Preview:
        """The latest plan of a job."""
        if job not in self._previews:
            raise RefusalError(404, "no plan of this job; request one first")
        return self._previews[job]

    async def apply(self, job: Job, plan_id: str) -> str:
        """Apply a plan; returns the id of the run.

        Raises:
            RefusalError: It is not the latest plan, is not ready, was already applied,
                or has no changes.
            CatalogSyncError: The plan cannot be read, or another one is being applied.
        """
        preview = self.find(job.name)
        if preview.plan_id != plan_id:
            raise RefusalError(409, "there is a newer plan; review that one")
        if preview.state != "ready":
            raise RefusalError(409, "the plan is not ready")
        if not preview.changes:
            raise RefusalError(409, "the plan has no changes")
        if preview.applied:
            raise RefusalError(409, "the plan was already applied; request a new one")
        preview.applied = True
        try:
            plan = await asyncio.to_thread(Plan.read, preview.path)
            return self.service.apply(plan)
        except BaseException:
            preview.applied = False
            raise

    async def _make(self, job: Job, preview: Preview) -> None:
        try:
            await self._plan(job, preview)
        except asyncio.CancelledError:
            preview.problem = "not finished, because the service stopped"
            raise
        except CatalogSyncError as error:
            preview.problem = str(error)
        except Exception:
            logger.exception("job %s: planning failed", job.name)
            preview.problem = "unexpected error; see the log"

    async def _plan(self, job: Job, preview: Preview) -> None:
        store = self.service.state
        async with job.open() as (source, sink):
            head = plan_head(job.name, source, sink, job.options.only)
            with PlanWriter(preview.path, head) as writer:
                sync = job.sync(source, sink, store, [preview])
                report = await sync.plan(writer.add)
                earlier = await store.runs(job=job.name, limit=_EARLIER)
                expected = estimate(report, earlier)
                writer.finish(report, expected)
        await asyncio.to_thread(preview.finish, report, expected)

    async def close(self) -> None:
        """Cancel plans in progress and delete all plans."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._folder is not None:
            self._folder.cleanup()
