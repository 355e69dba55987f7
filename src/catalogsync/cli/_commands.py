"""The commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from catalogsync.config import Adapters

from ._checking import check_job
from ._history import explain_product, list_failures, list_runs, retry_job
from ._listing import adapters_text
from ._plans import Wanted, apply_plan, plan_job
from ._releasing import release_job
from ._runs import Selection, run_job
from ._session import Session, command, shared_options

__all__ = ["cli"]

C = TypeVar("C", bound=Callable[..., Any])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="catalogsync", prog_name="catalogsync")
@shared_options
@click.pass_context
def cli(ctx: click.Context, /, **shared: Any) -> None:
    """Keep a store's catalog in step with the place where its products really live.

    The exit status is 0 if all went well, 1 if some products failed, 2 if it could
    not run or not complete, and 130 if it was interrupted.

    Each command takes those of the options below that concern it as well.
    """
    ctx.default_map = dict.fromkeys(cli.commands, shared)


_MAX_PRUNE = click.option(
    "--max-prune",
    metavar="N",
    type=click.FloatRange(min=0, min_open=True),
    help="Remove at most so many; below 1: that part of the job's products.",
)


def _products(function: C) -> C:
    """The options that choose products."""
    limit = click.option(
        "--limit",
        metavar="N",
        type=click.IntRange(min=1),
        help="Take only so many products.",
    )
    key = click.option(
        "--key",
        "keys",
        metavar="K",
        multiple=True,
        help="Take only this product, by its id or as source:id. May be repeated.",
    )
    return key(limit(function))


@cli.command()
@click.argument("job")
@_products
@_MAX_PRUNE
@command("config", "report", "progress")
def run(
    session: Session,
    job: str,
    keys: tuple[str, ...],
    limit: int | None,
    max_prune: float | None,
) -> int:
    """Bring the sink of JOB in step with its source.

    Ctrl-C, SIGTERM or SIGHUP stops it after the batches in flight, a second at once.
    """
    selection = Selection(keys=keys, limit=limit, max_prune=max_prune)
    return run_job(session, session.job(job), selection)


@cli.command()
@click.argument("job")
@_products
@_MAX_PRUNE
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the plan here instead of showing it; `apply FILE` carries it out.",
)
@click.option(
    "--exit-code",
    is_flag=True,
    help="Exit with 3 if there is something to do.",
)
@command("config", "report", "progress")
def plan(
    session: Session,
    job: str,
    out: Path | None,
    keys: tuple[str, ...],
    limit: int | None,
    max_prune: float | None,
    *,
    exit_code: bool,
) -> int:
    """Show what `run JOB` would do, and write nothing.

    With -v, long values are shown to their end.
    """
    desired = Wanted(out=out, exit_code=exit_code)
    selection = Selection(keys=keys, limit=limit, max_prune=max_prune)
    return plan_job(session, session.job(job), selection, desired)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@command("config", "report", "progress")
def apply(session: Session, file: Path) -> int:
    """Do what the plan in FILE says, and nothing else.

    Products that changed since the plan was made are left alone and listed.
    """
    return apply_plan(session, file)


@cli.command()
@click.option("--job", metavar="JOB", help="Only runs of this job.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many.",
)
@command("config")
def runs(session: Session, job: str | None, limit: int) -> int:
    """List the latest runs."""
    return list_runs(session, job, limit)


@cli.command()
@click.argument("job")
@click.option(
    "--runs",
    "limit",
    metavar="N",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many of the latest runs.",
)
@click.option("--json", "form", flag_value="json", help="Write the runs as JSON.")
@click.option("--csv", "form", flag_value="csv", help="Write the runs as CSV.")
@command("config")
def stats(
    session: Session, job: str, limit: int, form: Literal["json", "csv"] | None
) -> int:
    """Show how JOB fared over its latest runs: duration, speed, outcomes, latency."""
    from ._stats import show_stats

    return show_stats(session, job, limit, form)


@cli.command()
@click.argument("job")
@command("config")
def failures(session: Session, job: str) -> int:
    """List the products that failed in JOB and did not succeed since.

    The exit status is 1 if there are any.
    """
    return list_failures(session, job)


@cli.command()
@click.argument("job")
@click.option(
    "--key",
    "keys",
    metavar="K",
    multiple=True,
    help="Only this product, by its id or as source:id. May be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, write nothing.")
@command("config", "report", "progress")
def retry(session: Session, job: str, keys: tuple[str, ...], *, dry_run: bool) -> int:
    """Try the failed products of JOB again; those that succeed are forgotten."""
    return retry_job(session, session.job(job), keys, dry_run=dry_run)


@cli.command()
@click.argument("job")
@click.argument("key")
@command("config")
def explain(session: Session, job: str, key: str) -> int:
    """Tell what happened to product KEY in JOB, and what would happen now."""
    return explain_product(session, session.job(job), key)


@cli.command()
@click.argument("job")
@click.option("--yes", is_flag=True, help="Do not ask.")
@command("config", "progress")
def release(session: Session, job: str, *, yes: bool) -> int:
    """Take our keys off the products of JOB, and leave them as they are.

    They stay in the store as if people had made them; JOB would create new ones
    beside them, unless it adopts them.
    """
    return release_job(session, session.job(job), sure=yes)


@cli.command()
@click.argument("job")
@command("config")
def check(session: Session, job: str) -> int:
    """Reach both sides of JOB and the state store, and look at the settings.

    Nothing is written to either side; a state store that is missing is made.
    """
    return check_job(session, session.job(job))


@cli.command()
@command("config")
def serve(session: Session) -> int:
    """Run all jobs on their schedules, and answer over HTTP.

    The table `serve` of the configuration says where, and who may do what. Ctrl-C,
    SIGTERM or SIGHUP stops it after the batches in flight, a second one at once.
    """
    from ._serve import serve_jobs

    return serve_jobs(session)


@cli.command()
@command()
def adapters(session: Session) -> int:
    """List the sources and sinks that are installed, with their settings."""
    session.teller.result(adapters_text(Adapters.installed().describe()))
    return 0


@cli.command()
@click.option(
    "--source",
    metavar="URL",
    help="A DummyJSON server. [default: one of our own, with made-up products]",
)
@click.option(
    "--directory",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="Where catalog.db and report.json go.",
)
@click.option(
    "--products",
    metavar="N",
    type=click.IntRange(min=1),
    default=194,
    show_default=True,
    help="How many products to make up.",
)
@command("progress")
def demo(session: Session, source: str | None, directory: Path, products: int) -> int:
    """Sync a catalog of made-up products into a SQLite file.

    Needs nothing but the extras `cli` and `sql`.
    """
    from ._demo import run_demo

    return run_demo(session, source, directory, products)
