"""The report of a run: a value, text for people, and JSON for programs."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import attrs

from ._lib.texts import counted, duration
from .catalog.convert import as_json, strict_converter, structured
from .catalog.outcomes import Outcome, Rejected
from .catalog.products import Field, Json, ProductKey
from .diff.ownership import ManualEdit
from .errors import RunFailedError

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = [
    "BatchSizes",
    "CategoryCounts",
    "Counts",
    "Discrepancy",
    "Held",
    "Latency",
    "Report",
    "RunStatus",
]

_LISTS = frozenset(
    {"failures", "rejected", "warnings", "manual_edits", "discrepancies"}
)
_FIELDS = (
    *("run_id", "job", "status", "summary", "reasons", "problem", "planned"),
    *(
        "released",
        "partial",
        "only",
        "source_version",
        "catalog_version",
        "still_failing",
        "counts",
        "categories",
        "requests",
    ),
    *("writes", "writers", "retries", "started_at", "duration_s"),
    *("products_per_second", "phases", "latency", "batch_sizes", "bytes_sent"),
    *("bytes_received", "failures", "rejected", "warnings", "manual_edits"),
    *("discrepancies", "held"),
)
"""The JSON of a report, in its order."""

_SHOWN = 10
_EXAMPLES = 3
_HELD = {False: "nothing was written", True: "the other products were written"}
_LONGEST = 500


class RunStatus(enum.StrEnum):
    """How a run ended.

    `SUCCEEDED`: each product is in the sink as desired, or was skipped. `DEGRADED`: the
    whole source was read and each product was resolved, but some failed, or there are
    discrepancies or warnings. Warnings that only count adjusted values do not matter.
    `INCOMPLETE`: something was not read or not resolved; the next run continues.
    `FAILED`: the run broke off; the counts say what was done before.
    `CANCELLED`: a person, a signal or the shutdown of the service stopped the run; the
    counts say what was done before. It counts neither as a failure nor as a success.
    `HELD`: the guard found that so many changes look like an accident; nothing was
    written, and the plan waits for a person to approve or reject it.
    `SKIPPED`: nothing was done, because another run held the lease, or because the
    source has not changed (`Options.skip_unchanged`).
    """

    SUCCEEDED = "succeeded"
    DEGRADED = "degraded"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"
    HELD = "held"
    SKIPPED = "skipped"

    @property
    def is_complete(self) -> bool:
        """Whether all products were seen and resolved (succeeded or degraded)."""
        return self in {RunStatus.SUCCEEDED, RunStatus.DEGRADED}


@attrs.frozen(kw_only=True)
class Counts:
    """Products by outcome.

    Always: fetched = created + updated + unchanged + skipped + failed + unresolved.
    `removed` counts products that left the source, so they were not fetched.
    """

    fetched: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    removed: int = 0
    failed: int = 0
    unresolved: int = 0


@attrs.frozen(kw_only=True)
class CategoryCounts:
    """The categories that the products of a run needed.

    Attributes:
        created: Created by this run.
        updated: Renamed or moved by this run.
        existing: Used as they were.
    """

    created: int = 0
    updated: int = 0
    existing: int = 0


@attrs.frozen(kw_only=True)
class Latency:
    """Durations of an adapter's calls, in seconds.

    The percentiles are accurate to 2.5 percent.

    Attributes:
        p50: Half of the calls took no longer.
        p95: 95 % of the calls took no longer.
        p99: 99 % of the calls took no longer.
        count: Number of calls, including failed ones.
    """

    p50: float
    p95: float
    p99: float
    count: int

    def __str__(self) -> str:
        return f"{self.p50:.3f}/{self.p95:.3f}/{self.p99:.3f} s"


@attrs.frozen(kw_only=True)
class BatchSizes:
    """Products in one write: smallest, mean and largest; all zero without writes."""

    least: int = 0
    mean: float = 0.0
    most: int = 0


@attrs.frozen(kw_only=True)
class Discrepancy:
    """A written product that was read back and differs.

    Attributes:
        key: Key of the product.
        fields: Paths that differ, such as `title` or `variants.default.prices.USD`.
    """

    key: ProductKey
    fields: tuple[str, ...]

    def __str__(self) -> str:
        return f"not kept by the sink: {self.key}: {', '.join(self.fields)}"


@attrs.frozen(kw_only=True)
class Held:
    """Why the guard held a run.

    Attributes:
        reasons: The budgets that are exceeded, in words.
        worst: The twenty worst changes under them, in words.
        rest_written: Whether the products that are over no budget were written.
    """

    reasons: tuple[str, ...]
    worst: tuple[str, ...] = ()
    rest_written: bool = False


@attrs.frozen(kw_only=True)
class Report:
    """What a run did.

    Attributes:
        run_id: Identity of the run.
        job: Name of the job; empty: a run without a job.
        status: How it ended.
        counts: Products by outcome.
        categories: Categories by status.
        requests: Requests to both sides, if the adapters count them.
        writes: Batches sent to the sink, including retries; for a plan, the number that
            would be sent.
        writers: Most batches in flight at once.
        retries: Number of retries of pages and batches.
        started_at: When the run started, in seconds since the epoch.
        duration_s: Duration in seconds.
        phases: Seconds spent waiting in each phase: `read`, `find`, `plan`, `write`.
            Phases overlap, so their sum can exceed the duration.
        latency: Durations of the adapters' calls in the phases `read`, `find` and
            `write`.
        batch_sizes: Products in one write.
        bytes_sent: Bytes of request bodies, if the adapters report requests.
        bytes_received: Bytes of response bodies after decompression, likewise.
        failures: Every failed or unresolved product.
        rejected: Records without a readable key, and those whose key another record has
            too. Other records that are not valid products are among the failures.
        warnings: Things that people should look at although the run is complete.
        manual_edits: Our values that people edited in the sink.
        discrepancies: Products that were read back and differ; see `Options.verify`.
        problem: Why the status is incomplete, failed, cancelled or held, or since which run
            the source has not changed; empty otherwise.
        planned: Whether this is a plan: nothing was written, and the counts say what
            a run would do.
        released: Whether the run released products; `counts.removed` counts these.
        partial: Whether the run took selected products or fields only.
        only: The fields of a lane, see `Options.only`; empty: all.
        source_version: What `Options.skip_unchanged` compares: a digest of everything
            that the result of the run depends on; empty: not known.
        catalog_version: Version of the source's catalog that the job has applied last, if
            its updates have numbers; empty: not known.
        held: Why the guard held the run; None: it did not.
        still_failing: Products of the job that failed, in this run or an earlier one,
            and have not succeeded since; None: not known, as without a state store.
    """

    run_id: str
    job: str = ""
    status: RunStatus
    counts: Counts
    categories: CategoryCounts = CategoryCounts()
    requests: int = 0
    writes: int = 0
    writers: int = 1
    retries: int = 0
    started_at: float
    duration_s: float
    phases: Mapping[str, float] = attrs.field(factory=dict[str, float])
    latency: Mapping[str, Latency] = attrs.field(factory=dict[str, Latency])
    batch_sizes: BatchSizes = BatchSizes()
    bytes_sent: int = 0
    bytes_received: int = 0
    failures: tuple[Outcome, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    warnings: tuple[str, ...] = ()
    manual_edits: tuple[ManualEdit, ...] = ()
    discrepancies: tuple[Discrepancy, ...] = ()
    problem: str = ""
    planned: bool = False
    released: bool = False
    partial: bool = False
    only: tuple[Field, ...] = ()
    source_version: str = ""
    catalog_version: str = ""
    held: Held | None = None
    still_failing: int | None = None
    # The reasons of a report that was read; it may lack the lists that they count.
    _reasons: tuple[str, ...] | None = attrs.field(default=None, eq=False, repr=False)

    @classmethod
    def from_dict(cls, tree: Mapping[str, object]) -> Report:
        """Read the result of `to_dict`, also without the lists or with more fields.

        Raises:
            InvalidValueError: It is not a report; names the path.
        """
        reasons = {"_reasons": tree.get("reasons")}
        return structured(_converter(), {**tree, **reasons}, cls)

    @property
    def products_per_second(self) -> float:
        """Fetched products per second."""
        seconds = round(self.duration_s, 6)
        return self.counts.fetched / seconds if seconds else 0.0

    @property
    def is_up_to_date(self) -> bool:
        """Whether the run was skipped because its source has not changed."""
        return self.status is RunStatus.SKIPPED and bool(self.source_version)

    def raise_for_status(self, *, accept_degraded: bool = False) -> Report:
        """Return the report itself if the run succeeded or was skipped.

        Args:
            accept_degraded: Accept a degraded run as well.

        Raises:
            RunFailedError: The run has another status.
        """
        accepted = {RunStatus.SUCCEEDED, RunStatus.SKIPPED}
        if accept_degraded:
            accepted.add(RunStatus.DEGRADED)
        if self.status not in accepted:
            raise RunFailedError(self)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types, in a stable order."""
        tree = as_json({name: getattr(self, name) for name in _FIELDS})
        measured = as_json(self.latency).items()
        return {
            **tree,
            "duration_s": round(self.duration_s, 6),
            "products_per_second": round(self.products_per_second, 3),
            "phases": {name: round(s, 6) for name, s in self.phases.items()},
            "latency": {
                name: {each: round(value, 6) for each, value in latency.items()}
                for name, latency in measured
            },
            "manual_edits": [
                {"key": str(edit.key), "kept": edit.kept, **attrs.asdict(edit.diff)}
                for edit in self.manual_edits
            ],
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    @property
    def summary(self) -> str:
        """The report in one line."""
        name = f"{self.job}: " if self.job else ""
        chosen = " (chosen products)" if self.partial else ""
        if self.only:
            chosen = f" (only {', '.join(self.only)})"
        result = self._planned if self.planned else self._done
        still = f"; {self._still_failing}" if self._still_failing else ""
        took = "" if self.planned else f" in {duration(self.duration_s)}"
        return f"{name}{result}{chosen}{took}{still}"

    @property
    def _done(self) -> str:
        counts = attrs.asdict(self.counts)
        fetched, removed = counts.pop("fetched"), counts.pop("removed")
        parts = [f"{n} {name}" for name, n in counts.items() if n]
        did = "released" if self.released else "removed"
        gone = f", {removed} {did}" if removed else ""
        return (
            f"{self.status.value}: {fetched} fetched = {' + '.join(parts) or '0'}{gone}"
        )

    @property
    def _planned(self) -> str:
        counts = self.counts
        parts = [
            f"{counts.created} to create",
            f"{counts.updated} to update",
            f"{counts.unchanged} unchanged",
            *([f"{counts.removed} to remove"] if counts.removed else []),
            *([f"{counts.skipped} skipped"] if counts.skipped else []),
            *([f"{counts.failed} failed"] if counts.failed else []),
            *([f"{counts.unresolved} unresolved"] if counts.unresolved else []),
        ]
        return ", ".join(parts)

    @property
    def _still_failing(self) -> str:
        """How many products of the job fail, if more than in this run."""
        number = self.still_failing or 0
        if number <= self.counts.failed:
            return ""
        verb = "fails" if number == 1 else "fail"
        return f"{counted(number, 'product')} of the job still {verb}"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the run has its status, in a few lines for people.

        Their number does not grow with the catalog. Terminal, JSON, dashboard and
        Medusa widget all show these lines.
        """
        if self._reasons is not None:
            return self._reasons
        failed = [each for each in self.failures if each.status == "failed"]
        texts = [
            *(self._held_lines(self.held) if self.held else ()),
            *([problem] if (problem := self._other_problem) else []),
            *_gathered(failed, "product", "failed"),
            *_gathered(
                [f"rejected {each}" for each in self.rejected], "record", "rejected"
            ),
            *_gathered(self.discrepancies, "product", "not kept by the sink"),
            *(f"warning: {text}" for text in self.warnings[:_SHOWN]),
        ]
        hidden = len(self.warnings) - _SHOWN
        if hidden > 0:
            texts.append(f"... and {counted(hidden, 'more warning')}")
        if self._still_failing:
            texts.append(self._still_failing)
        return tuple(map(_cut, texts))

    @property
    def _other_problem(self) -> str:
        """The problem, without the reasons of a held run."""
        reasons = "; ".join(self.held.reasons) if self.held else ""
        return self.problem.removeprefix(reasons).removeprefix("; ")

    def _held_lines(self, held: Held) -> Sequence[str]:
        return (
            *(f"held: {reason}" for reason in held.reasons),
            f"{_HELD[held.rest_written]}: approve or reject run {self.run_id}",
            *(f"for example {change}" for change in held.worst[:_EXAMPLES]),
        )

    def _lines(self) -> list[str]:
        reasons = self.reasons
        lines = [self.summary, *(f"  {reason}" for reason in reasons)]
        if any(attrs.astuple(self.categories)):
            parts = [f"{n} {k}" for k, n in attrs.asdict(self.categories).items() if n]
            lines.append(f"  categories: {', '.join(parts)}")
        lines.append(
            f"  {counted(round(self.products_per_second), 'product')}/s,"
            f" {counted(self.requests, 'request')}, {counted(self.writes, 'write')},"
            f" {counted(self.retries, 'retry', 'retries')}"
        )
        if self.latency:
            lines.append(f"  {self._measured}")
        lists = [
            [str(outcome) for outcome in self.failures],
            [f"rejected {text}" for text in self.rejected],
            [str(each) for each in self.discrepancies],
            [str(edit) for edit in self.manual_edits],
        ]
        for texts in lists:
            shown = map(_cut, texts[:_SHOWN])
            lines += [f"  {text}" for text in shown if text not in reasons]
        hidden = sum(max(0, len(texts) - _SHOWN) for texts in lists)
        if hidden:
            lines.append(f"  ... and {hidden} more in the full report")
        return lines

    @property
    def _measured(self) -> str:
        """Latency, batch sizes and bytes, in one line."""
        calls = [f"{name} {each}" for name, each in self.latency.items()]
        parts = [f"calls (p50/p95/p99): {', '.join(calls)}"]
        sizes = self.batch_sizes
        if sizes.most:
            upto = f" to {sizes.most}" if sizes.most > sizes.least else ""
            parts.append(f"batches of {sizes.least}{upto}")
        if self.bytes_sent or self.bytes_received:
            sent, received = self.bytes_sent / 1000, self.bytes_received / 1000
            parts.append(f"{sent:.1f} kB sent, {received:.1f} kB received")
        return "; ".join(parts)


def summary_of(report: Mapping[str, Json]) -> dict[str, Json]:
    """A report as JSON types, without the lists that grow with the catalog."""
    return {name: value for name, value in report.items() if name not in _LISTS}


def _gathered(items: Sequence[object], what: str, did: str) -> list[str]:
    """One line for all of these; empty if there are none."""
    match items:
        case []:
            return []
        case [only]:
            return [str(only)]
        case [first, *_]:
            example = str(first).removeprefix(did).lstrip(": ")
            return [f"{counted(len(items), what)} {did}, for example {example}"]
        case _:
            raise AssertionError("unreachable")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


@cache
def _converter() -> Converter:
    converter = strict_converter()
    edit = converter.get_structure_hook(ManualEdit)

    def read_edit(tree: Any, kind: Any) -> Any:
        diff = {name: tree[name] for name in ("path", "old", "new")}
        return edit({**tree, "diff": diff}, kind)

    converter.register_structure_hook(ManualEdit, read_edit)
    return converter
