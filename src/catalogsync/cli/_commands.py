"""The commands."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from catalogsync.config import Adapters

from ._checking import check_job
from ._listing import adapters_text
from ._runs import Wish, rehearse_job, run_job
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
@command("config", "report", "progress")
def run(session: Session, job: str, keys: tuple[str, ...], limit: int | None) -> int:
    """Bring the sink of JOB in step with its source.

    Ctrl-C stops it after the batches in flight, a second one at once.
    """
    return run_job(session, session.job(job), Wish(keys=keys, limit=limit))


@cli.command()
@click.argument("job")
@_products
@command("config", "report", "progress")
def plan(session: Session, job: str, keys: tuple[str, ...], limit: int | None) -> int:
    """Show what `run JOB` would create and update, and write nothing.

    With -v, long values are shown to their end.
    """
    wish = Wish(keys=keys, limit=limit)
    live = not sys.stdout.isatty()
    return rehearse_job(session, session.job(job), wish, live=live)


@cli.command()
@click.argument("job")
@command("config")
def check(session: Session, job: str) -> int:
    """Reach both sides of JOB, look at the settings, and write nothing."""
    return check_job(session, session.job(job))


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
