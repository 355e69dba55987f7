"""What a plan is for, and the parts of a plan file that writing and reading share."""

from __future__ import annotations

import time
from collections.abc import Collection
from hashlib import blake2b

import attrs

from catalogsync.catalog.products import Field
from catalogsync.protocols import Sink, Source, endpoint_of

__all__ = ["VERSION", "PlanHead", "checksum", "plan_head"]

VERSION = 2


@attrs.frozen(kw_only=True)
class PlanHead:
    """The job and the two sides that a plan was made for.

    Attributes:
        job: Name of the job.
        source: Name of the source.
        sink: Name of the sink.
        endpoint: Endpoint of the sink.
        made_at: When it was made, in seconds since the epoch.
        only: The fields of a lane, see `Options.only`; empty: all.
    """

    job: str
    source: str
    sink: str
    endpoint: str
    made_at: float
    only: tuple[Field, ...] = ()


def plan_head(
    job: str, source: Source, sink: Sink, only: Collection[Field] | None = None
) -> PlanHead:
    """The head of a plan that is made now, for open adapters.

    Args:
        job: Name of the job.
        source: The open source.
        sink: The open sink.
        only: `Options.only` of the run that is planned.
    """
    return PlanHead(
        job=job,
        source=source.name,
        sink=sink.name,
        endpoint=endpoint_of(sink),
        made_at=time.time(),
        only=tuple(sorted(only or ())),
    )


def checksum() -> blake2b:
    """A checksum of all lines except the last, which contains it."""
    return blake2b(digest_size=16)
