"""A Medusa server: the parts of Medusa 2.21's Admin and Store API that a sync meets.

Its rules were taken from a real server, and the tests of this package hold it
against one. It keeps everything in memory and works on one request at a time.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable

import attrs
from aiohttp import web

from catalogsync.testing.faults import FaultPlan
from catalogsync.testing.servers import SHUTDOWN_TIMEOUT, running

from ._accidents import Stage, interrupt
from ._admin import add_admin
from ._auth import Guard
from ._errors import Row
from ._flags import add_flags, flagged
from ._routes import Api, Call
from ._schema import anything
from ._shop import ShopRoutes
from ._state import EMAIL, PASSWORD, State
from ._uploads import add_uploads
from ._web import (
    LARGE,
    LoggedRequest,
    dated,
    errors,
    guarded,
    limits,
    log,
)

__all__ = ["FakeMedusa", "LoggedRequest", "State", "fake_medusa", "medusa_app"]

_LOGGED = 10_000
_STATE = web.AppKey("state", State)
_GUARD = web.AppKey("guard", Guard)
_REQUESTS: web.AppKey[deque[LoggedRequest]] = web.AppKey("requests", deque)


@attrs.frozen
class FakeMedusa:
    """A running server, set up as ``examples/medusa-store`` sets up a real one.

    Attributes:
        url: Its base URL, without a trailing slash.
        state: All its data, which a test may read and change.
        requests: The last 10,000 requests, in the order of their arrival.
    """

    url: str
    state: State = attrs.field(repr=False)
    requests: deque[LoggedRequest] = attrs.field(repr=False)
    _guard: Guard = attrs.field(repr=False)
    email: str = EMAIL
    password: str = attrs.field(default=PASSWORD, repr=False)

    @property
    def api_key(self) -> str:
        """The secret key."""
        return self._key(0)

    @property
    def publishable_key(self) -> str:
        """The key of the first sales channel's shoppers."""
        return self._key(1)

    @property
    def other_publishable_key(self) -> str:
        """The key of the second sales channel's shoppers."""
        return self._key(2)

    def _key(self, position: int) -> str:
        secret: str = list(self.state.keys.values())[position]["secret"]
        return secret

    @property
    def sales_channel_id(self) -> str:
        """The default sales channel."""
        return next(iter(self.state.channels))

    @property
    def other_sales_channel_id(self) -> str:
        """The second sales channel."""
        return list(self.state.channels)[1]

    @property
    def stock_location_id(self) -> str:
        """The stock location, which serves both channels."""
        return next(iter(self.state.locations))

    @property
    def region_id(self) -> str:
        """The region."""
        return next(iter(self.state.regions))

    @property
    def shipping_profile_id(self) -> str:
        """The shipping profile."""
        return next(iter(self.state.profiles))

    @property
    def products(self) -> list[Row]:
        """The products with their related data."""
        return list(self.state.products.values())

    def product(self, **columns: object) -> Row:
        """The one product with these values, for example ``external_id="7"``."""
        (found,) = (
            row
            for row in self.state.products.values()
            if all(row[name] == value for name, value in columns.items())
        )
        return found

    @property
    def writes(self) -> list[LoggedRequest]:
        """The requests that may have changed data."""
        return [request for request in self.requests if request.writes]

    def forget_tokens(self) -> None:
        """Invalidate all tokens, as if they had expired."""
        self._guard.forget_tokens()

    def revoke_key(self) -> None:
        """Revoke the secret key."""
        next(iter(self.state.keys.values()))["revoked_at"] = self.state.ids.now()

    def interrupt(self, product: Row, stage: Stage) -> None:
        """Leave a product as if the server had crashed while creating it."""
        interrupt(self.state, product, stage)

    def catch_up(self) -> None:
        """Update the index of products; see the flag `index_engine`."""
        self.state.indexed = set(self.state.products)


def medusa_app(
    *,
    faults: FaultPlan | None = None,
    token_lifetime: float = 86_400.0,
    clock: Callable[[], float] = time.time,
    seed: int = 0,
    flags: Iterable[str] = (),
    denied: Iterable[str] = (),
) -> web.Application:
    """Make the application that behaves as Medusa does.

    Args:
        faults: Faults of the server; None: no faults.
        token_lifetime: Seconds for which a token is valid.
        clock: Gives the seconds since the epoch.
        seed: Seed for the random part of ids, which decides the order of new products.
        flags: Enabled feature flags, for example `rbac_filter_fields`.
        denied: Permissions that the user's role lacks, for example `price:read`.

    Returns:
        An application to be served once.
    """
    state = State(clock, seed, flags, denied)
    guard = Guard(state, clock, token_lifetime)
    requests: deque[LoggedRequest] = deque(maxlen=_LOGGED)
    steps = [
        log(requests),
        *([faults.middleware()] if faults else []),
        dated(clock),
        limits,
        errors,
        guarded(guard),
        flagged(state),
    ]
    app = web.Application(middlewares=steps, client_max_size=LARGE)
    app[_STATE], app[_GUARD], app[_REQUESTS] = state, guard, requests
    api = Api(app.router, state.journal)
    add_admin(api, state)
    ShopRoutes(state, guard).add_to(api)
    add_flags(api, state)
    add_uploads(api, state)
    _add_access(api, guard)
    return app


def _add_access(api: Api, guard: Guard) -> None:
    async def health(_: web.Request) -> web.Response:
        return web.Response(text="OK")

    def refresh(call: Call) -> Row:
        guard.admit(call.request, token_only=True)
        return {"token": guard.token()}

    def log_in(call: Call) -> Row:
        return {"token": guard.log_in(call.body)}

    api.post("/auth/user/emailpass", anything, log_in)
    api.post("/auth/token/refresh", None, refresh)
    api.router.add_get("/health", health)


@contextlib.asynccontextmanager
async def fake_medusa(
    *,
    faults: FaultPlan | None = None,
    token_lifetime: float = 86_400.0,
    clock: Callable[[], float] = time.time,
    seed: int = 0,
    port: int = 0,
    flags: Iterable[str] = (),
    denied: Iterable[str] = (),
) -> AsyncGenerator[FakeMedusa]:
    """Run a Medusa server; :func:`medusa_app` explains the arguments."""
    app = medusa_app(
        faults=faults,
        token_lifetime=token_lifetime,
        clock=clock,
        seed=seed,
        flags=flags,
        denied=denied,
    )
    # Unlike servers.serve: longer URLs, and Medusa's short keep-alive.
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=SHUTDOWN_TIMEOUT,
        keepalive_timeout=5.0,
        max_line_size=65_536,
        max_field_size=65_536,
    )
    async with running(runner, port) as url:
        yield FakeMedusa(url, app[_STATE], app[_REQUESTS], app[_GUARD])
