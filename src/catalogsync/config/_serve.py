"""Settings of the service: access over HTTP, address, notifications."""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs

from catalogsync._lib.bounds import above, at_least
from catalogsync._lib.standard_webhooks import key_of
from catalogsync.errors import MisconfiguredError
from catalogsync.integrations.notify import DEFAULT_STATUSES, Apprise, Webhook
from catalogsync.report import RunStatus

from ._secrets import secrets_of

_SHORTEST_SECRET = 16
_HIGHEST_PORT = 65535


class Role(enum.StrEnum):
    """The permissions of a token: `read`, or also start and stop runs (`operate`)."""

    READ = "read"
    OPERATE = "operate"

    def allows(self, needed: Role) -> bool:
        """Whether this role includes the needed one."""
        return needed is Role.READ or self is Role.OPERATE


def _secret(_: object, attribute: attrs.Attribute[Any], value: str) -> None:
    if len(value) < _SHORTEST_SECRET or not value.isascii() or not value.isprintable():
        problem = f"must have {_SHORTEST_SECRET} or more printable ASCII characters"
        raise MisconfiguredError(attribute.name, problem)


def _secrets(
    _: object, attribute: attrs.Attribute[Any], value: Mapping[str, Sequence[str]]
) -> None:
    for job, texts in value.items():
        if not texts:
            raise MisconfiguredError(f"{attribute.name}.{job}", "needs a secret")
        for index, text in enumerate(texts):
            key_of(f"{attribute.name}.{job}[{index}]", text)


def _origins(_: object, attribute: attrs.Attribute[Any], value: Sequence[str]) -> None:
    for index, origin in enumerate(value):
        parts = urlsplit(origin)
        plain = f"{parts.scheme}://{parts.netloc}"
        if parts.scheme not in {"http", "https"} or plain != origin:
            problem = "must be an origin such as https://admin.example.com"
            raise MisconfiguredError(f"{attribute.name}[{index}]", problem)


def _tokens(
    _: object, attribute: attrs.Attribute[Any], value: Mapping[str, Token]
) -> None:
    owners: dict[str, str] = {}
    for name, token in value.items():
        other = owners.setdefault(token.token, name)
        if other != name:
            problem = f"is also the token of {other!r}; use different tokens"
            raise MisconfiguredError(f"{attribute.name}.{name}.token", problem)


@attrs.frozen(kw_only=True)
class Token:
    """A bearer token.

    Attributes:
        token: Text of the token, at least 16 characters.
        role: Permissions of the token.
    """

    token: str = attrs.field(repr=False, validator=_secret)
    role: Role = Role.READ


@attrs.frozen(kw_only=True)
class Access:
    """Permissions and limits of the HTTP API.

    Attributes:
        tokens: Bearer tokens, by a name for people.
        webhooks: By job, the secrets for calls of its webhook. Each of them is valid,
            so that they can be rotated.
        open: Admit every caller without a token on this machine's own address
            (127.0.0.1, ::1), and nobody else.
        cors: Origins whose pages may call the API, for example
            `https://admin.example.com`.
        requests_per_minute: Limit of requests from one address. As many may come in
            a burst.
        refusals_per_minute: Limit of wrong tokens and signatures from one address.
        max_body: Largest body of a request in bytes.
    """

    tokens: Mapping[str, Token] = attrs.field(
        factory=dict[str, Token], repr=False, validator=_tokens
    )
    webhooks: Mapping[str, tuple[str, ...]] = attrs.field(
        factory=dict[str, tuple[str, ...]], repr=False, validator=_secrets
    )
    open: bool = False
    cors: tuple[str, ...] = attrs.field(default=(), validator=_origins)
    requests_per_minute: int = attrs.field(default=6000, validator=above(0))
    refusals_per_minute: int = attrs.field(default=20, validator=above(0))
    max_body: int = attrs.field(default=1 << 20, validator=above(0))

    @property
    def secrets(self) -> frozenset[str]:
        """All texts to be kept out of all output."""
        tokens = (token.token for token in self.tokens.values())
        webhooks = (text for texts in self.webhooks.values() for text in texts)
        return frozenset((*tokens, *webhooks))


@attrs.frozen(kw_only=True)
class NotifySettings:
    """Notifications of `catalogsync serve` about runs.

    Attributes:
        on: Statuses to report.
        recovered: Whether to report the first good run over all products afterwards.
        webhooks: Services that accept JSON by POST.
        apprise: E-mail, chats and other services that Apprise knows.
    """

    on: tuple[RunStatus, ...] = DEFAULT_STATUSES
    recovered: bool = True
    webhooks: tuple[Webhook, ...] = attrs.field(default=(), repr=False)
    apprise: tuple[Apprise, ...] = attrs.field(default=(), repr=False)

    @property
    def secrets(self) -> frozenset[str]:
        """All texts to be kept out of all output."""
        headers = (text for hook in self.webhooks for text in hook.headers.values())
        return frozenset((*secrets_of(*self.webhooks, *self.apprise), *headers))


@attrs.frozen(kw_only=True)
class ServeSettings(Access):
    """Settings of `catalogsync serve`.

    Attributes:
        host: Address of this machine to listen on. Addresses other than 127.0.0.1 and
            ::1 need tokens.
        port: Port to listen on; 0 picks a free one.
        grace: Seconds for batches in flight to finish when the service stops.
        retry_after: Seconds until an incomplete run is repeated; doubles each time, up
            to an hour.
        log: `text` for people, or `json` with one object on each line.
        notify: Notifications about runs; None: no notifications.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    grace: float = attrs.field(default=30.0, validator=at_least(0))
    retry_after: float = attrs.field(default=30.0, validator=at_least(0))
    log: Literal["text", "json"] = "text"
    notify: NotifySettings | None = None

    @property
    def secrets(self) -> frozenset[str]:
        """All texts to be kept out of all output."""
        notify = self.notify.secrets if self.notify else frozenset[str]()
        return super().secrets | notify

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.port <= _HIGHEST_PORT:
            problem = f"must be 0 to {_HIGHEST_PORT}, is {self.port}"
            raise MisconfiguredError("port", problem)
        if self.open and not _is_loopback(self.host):
            problem = f"works on 127.0.0.1 only; with host {self.host}, set tokens"
            raise MisconfiguredError("open", problem)
        if not self.open and not self.tokens:
            problem = "is empty; add a token, or set `open = true` (127.0.0.1 only)"
            raise MisconfiguredError("tokens", problem)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
