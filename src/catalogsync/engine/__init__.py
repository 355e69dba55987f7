"""The engine: read a source, work out what differs in the sink, write it, and report.

To understand it, read the docstrings of these modules in this order:

* `sync`, `run` (`opening`, `options`, `context`, `skipping`): how a run is started, watched and
  reported.
* `pipeline`, `stopping`: the stations, the queues between them, and how a run stops.
* `reader` (`pages`, `passes`, `hash_set`, `updates`): reads the source, builds products,
  notices contradictions.
* `recognizing`: which products need not be built or compared at all.
* `planner` (`normalizing`, `references`, `categories`, `images`): finds products and
  plans changes.
* `writer` (`batches`, `answers`, `suspects`, `breaker`): writes batches, retries,
  bisects, gives up.
* `removing` (`pruning`), `waiting`, `verifying`: what follows at the end of a run.
* `recorder`, `journal` (`intents`, `informing`, `leases`, `owners`, `snapshots`): outcomes, in
  memory and in the state store.
* `promises` (`methods`, `defects`): calls of adapters, and checks of what they return.
* `guarding`, `collecting`: why nothing is written before all changes are known.
* `applying`, `releasing`, `retrying`: the runs of `apply`, `release` and `retry`.

Four words run through all of them. A *group* is the products of one `find`, a *batch*
the changes of one `write`. *References* are categories and tags. A product is *open*
until it has an outcome.

The engine sees protocols only. It knows no system and no wire format. Comparing is not
here either: it is pure, and is in `catalogsync.diff`.
"""

from __future__ import annotations

from .collecting import OnChange
from .opening import Openable
from .options import OnDeleted, Options, Prune, Transform, WhenBusy, Writes
from .retrying import RetrySource
from .run import Run
from .sync import Sync, run_blocking, sync

__all__ = [
    "OnChange",
    "OnDeleted",
    "Openable",
    "Options",
    "Prune",
    "RetrySource",
    "Run",
    "Sync",
    "Transform",
    "WhenBusy",
    "Writes",
    "run_blocking",
    "sync",
]
