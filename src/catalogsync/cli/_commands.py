"""The commands."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import attrs
import click

from catalogsync.config import Adapters

from ._checking import check_job
from ._held import approve_plan, list_held, reject_plan
from ._history import explain_product, list_failures, list_runs, retry_job
from ._informing import inform_receivers
from ._listing import adapters_text
from ._new_adapter import new_adapter
from ._plans import PlanOutput, apply_plan, plan_job
from ._preview import list_unmapped, preview_job
from ._releasing import release_job
from ._runs import Selection, run_job
from ._session import Session, command, shared_options

C = TypeVar("C", bound=Callable[..., Any])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="catalogsync", prog_name="catalogsync")
@shared_options
@click.pass_context
def cli(ctx: click.Context, /, **shared: Any) -> None:
    """Keep a store's catalog in step with the source of its products.

    The exit status is 0 on success, 1 if some products failed, 2 if the command could
    not run or not complete, or was held, and 130 if it was interrupted.

    Options that a command supports can be given before or after its name.
    """
    ctx.default_map = dict.fromkeys(cli.commands, shared)


def _number(name: str, what: str, default: int | None = None) -> Callable[[C], C]:
    """An option with a number of 1 or more."""
    return click.option(
        *name.split(),
        metavar="N",
        type=click.IntRange(min=1),
        default=default,
        show_default=default is not None,
        help=what,
    )


def _keys(verb: str) -> Callable[[C], C]:
    """An option with keys of products."""
    what = f"{verb} only this product, given as id or source:id. May be repeated."
    return click.option("--key", "keys", metavar="K", multiple=True, help=what)


_SELECT = (
    _keys("Process"),
    _number("--limit", "Process at most N products."),
    click.option(
        "--only",
        metavar="FIELDS",
        default="",
        help=(
            "Compare and write only these fields, such as stock,prices, of products"
            " that the sink has already."
        ),
    ),
    click.option(
        "--max-prune",
        metavar="N",
        type=click.FloatRange(min=0, min_open=True),
        help="Remove at most N products; below 1: that share of the job's products.",
    ),
)


def _selecting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select products and fields, for a `selection`."""

    @functools.wraps(function)
    def wrapper(
        *args: Any,
        keys: tuple[str, ...],
        limit: int | None,
        only: str,
        max_prune: float | None,
        **others: Any,
    ) -> Any:
        selection = Selection(keys=keys, limit=limit, only=only, max_prune=max_prune)
        return function(*args, selection=selection, **others)

    for option in reversed(_SELECT):
        wrapper = option(wrapper)
    return wrapper


@cli.command()
@click.argument("job")
@_selecting
@click.option(
    "--full",
    is_flag=True,
    help="Compare all products, even if `skip_unchanged` would skip the run.",
)
@command("config", "report", "progress")
def run(session: Session, job: str, selection: Selection, *, full: bool) -> int:
    """Bring the sink of JOB in step with its source.

    Ctrl-C, SIGTERM or SIGHUP stops it after the batches in flight; a second one stops
    it immediately.
    """
    selection = attrs.evolve(selection, full=full)
    return run_job(session, session.job(job), selection)


@cli.command()
@click.argument("job")
@_selecting
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the plan to FILE instead of showing it; `apply FILE` applies it.",
)
@click.option(
    "--exit-code",
    is_flag=True,
    help="Exit with status 3 if there are changes.",
)
@command("config", "report", "progress")
def plan(
    session: Session,
    job: str,
    out: Path | None,
    selection: Selection,
    *,
    exit_code: bool,
) -> int:
    """Show what `run JOB` would do, without writing anything.

    With -v, long values are not shortened.
    """
    output = PlanOutput(path=out, exit_code=exit_code)
    return plan_job(session, session.job(job), selection, output)


@cli.command()
@click.argument("job")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=1),
    help="Show at most N products. [default: 5, or all with --unmapped]",
)
@click.option(
    "--key",
    "keys",
    metavar="K",
    multiple=True,
    help="Show only this product, given as id or source:id. May be repeated.",
)
@click.option(
    "--unmapped",
    is_flag=True,
    help="List categories that the map does not have, by number of products.",
)
@command("config")
def preview(
    session: Session,
    job: str,
    keys: tuple[str, ...],
    limit: int | None,
    *,
    unmapped: bool,
) -> int:
    """Show records of JOB's source and the products they make; writes nothing.

    With -v, long values are not shortened. The exit status is 1 if a record is rejected.
    """
    if unmapped:
        return list_unmapped(session, session.job(job), keys, limit)
    return preview_job(session, session.job(job), keys, limit or 5)


@cli.command()
@click.argument("location", metavar="FILE")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the proposed configuration to a new FILE instead of showing it.",
)
@command()
def sniff(session: Session, location: str, out: Path | None) -> int:
    """Examine FILE, a path or an address, and propose a configuration for it.

    It shows the first products that the proposal makes.
    """
    from ._sniff import sniff_file

    return sniff_file(session, location, out)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@command("config", "report", "progress")
def apply(session: Session, file: Path) -> int:
    """Make exactly the changes of the plan in FILE.

    Products that have changed since the plan was made are left alone and listed.
    """
    return apply_plan(session, file)


_BY = click.option(
    "--by", metavar="NAME", help="Who decides. [default: the user of this computer]"
)


@cli.command()
@click.option("--job", metavar="JOB", help="Only plans of this job.")
@_number("--limit", "Number of plans.", 20)
@command("config")
def held(session: Session, job: str | None, limit: int) -> int:
    """List the runs that the guard held, with the reasons and the worst changes.

    The exit status is 1 if a plan waits for approval.
    """
    return list_held(session, job, limit)


@cli.command()
@click.argument("run_id", metavar="RUN")
@click.option(
    "--exclude",
    "excluded",
    metavar="K",
    multiple=True,
    help="Leave this product alone, given as id or source:id. May be repeated.",
)
@_BY
@command("config", "report", "progress")
def approve(
    session: Session, run_id: str, excluded: tuple[str, ...], by: str | None
) -> int:
    """Approve the plan of the held RUN and make exactly its changes.

    Products that have changed since the run are left alone and listed.
    """
    return approve_plan(session, run_id, excluded, by)


@cli.command()
@click.argument("run_id", metavar="RUN")
@_BY
@command("config")
def reject(session: Session, run_id: str, by: str | None) -> int:
    """Reject the plan of the held RUN, so that nobody can approve it any more."""
    return reject_plan(session, run_id, by)


@cli.command()
@click.option("--job", metavar="JOB", help="Only runs of this job.")
@_number("--limit", "Number of runs.", 20)
@command("config")
def runs(session: Session, job: str | None, limit: int) -> int:
    """List the latest runs."""
    return list_runs(session, job, limit)


@cli.command()
@click.argument("job")
@_number("--runs limit", "Number of runs.", 20)
@click.option("--json", "form", flag_value="json", help="Write the runs as JSON.")
@click.option("--csv", "form", flag_value="csv", help="Write the runs as CSV.")
@command("config")
def stats(
    session: Session, job: str, limit: int, form: Literal["json", "csv"] | None
) -> int:
    """Show the latest runs of JOB: duration, speed, outcomes, latency."""
    from ._stats import show_stats

    return show_stats(session, job, limit, form)


@cli.command()
@click.argument("job")
@command("config")
def failures(session: Session, job: str) -> int:
    """List the products that failed in JOB and have not succeeded since.

    The exit status is 1 if there are any.
    """
    return list_failures(session, job)


@cli.command()
@click.argument("job")
@_keys("Retry")
@click.option(
    "--dry-run", is_flag=True, help="Show the changes without writing anything."
)
@command("config", "report", "progress")
def retry(session: Session, job: str, keys: tuple[str, ...], *, dry_run: bool) -> int:
    """Retry the failed products of JOB; those that succeed are no longer failed."""
    return retry_job(session, session.job(job), keys, dry_run=dry_run)


@cli.command()
@click.argument("job")
@click.argument("key")
@command("config")
def explain(session: Session, job: str, key: str) -> int:
    """Show the history of product KEY in JOB, and where its values come from.

    It also shows what the next run would do.
    """
    return explain_product(session, session.job(job), key)


@cli.command()
@click.argument("job")
@command("config")
def inform(session: Session, job: str) -> int:
    """Deliver the messages of JOB about written products that are due.

    Those that wait are listed, and the exit status is 1 if there are any.
    """
    return inform_receivers(session, session.job(job))


@cli.command()
@click.argument("job")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@command("config", "progress")
def release(session: Session, job: str, *, yes: bool) -> int:
    """Release the products of JOB: remove our keys from them, and nothing else.

    They stay in the store as if people had created them. JOB would create new ones
    next to them, unless it adopts them.
    """
    return release_job(session, session.job(job), sure=yes)


@cli.command()
@click.argument("job")
@command("config")
def check(session: Session, job: str) -> int:
    """Check the connections of JOB to both sides and the state store, and its settings.

    Nothing is written to either side; a missing state store is created.
    """
    return check_job(session, session.job(job))


@cli.command()
@command("config")
def serve(session: Session) -> int:
    """Run all jobs on their schedules, and serve the HTTP API and the dashboard.

    The table `serve` of the configuration sets the address and the permissions.
    Ctrl-C, SIGTERM or SIGHUP stops it after the batches in flight; a second one stops
    it immediately.
    """
    from ._serve import serve_jobs

    return serve_jobs(session)


@cli.command()
@command()
def adapters(session: Session) -> int:
    """List the installed sources and sinks with their settings."""
    session.terminal.out(adapters_text(Adapters.installed().describe()))
    return 0


@cli.command("new-adapter")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["source", "sink"]),
    default="source",
    show_default=True,
    help="Whether products are read or written.",
)
@click.option(
    "--directory",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where the package is created. [default: here]",
)
@command()
def new_adapter_(session: Session, name: str, kind: str, directory: Path) -> int:
    """Write a package with an adapter for a system that catalogsync does not know.

    It talks to a web API, and its tests pass, against a small server among them.
    """
    files = new_adapter(name, kind, directory)
    session.terminal.out("\n".join(f"{file}" for file in files))
    session.terminal.out(f"next: cd {files[0].parent} && pytest -rs")
    return 0


@cli.command()
@click.option(
    "--source",
    metavar="URL",
    help="A DummyJSON server. [default: a local server with generated products]",
)
@click.option(
    "--directory",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="Directory for catalog.db and report.json.",
)
@_number("--products", "Number of products to generate.", 194)
@command("progress")
def demo(session: Session, source: str | None, directory: Path, products: int) -> int:
    """Sync a generated catalog into a SQLite file.

    Requires only the extras `cli` and `sql`.
    """
    from ._demo import run_demo

    return run_demo(session, source, directory, products)
