"""Authentication: secret keys, tokens and publishable keys."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable

from aiohttp import web

from catalogsync._lib.strict_json import dumps

from ._errors import MedusaError, Row, refusal, unauthorized
from ._state import EMAIL, PASSWORD, State

_BEARER_SECRET = (
    "A secret API key was passed as a Bearer token. Secret API keys must be sent"  # noqa: S105
    " using HTTP Basic authentication instead (Authorization: Basic"
    " <secret-api-key>)."
)
_NO_PUBLISHABLE = (
    "Publishable API key required in the request header: x-publishable-api-key. You"
    " can manage your keys in settings in the dashboard."
)
_BAD_PUBLISHABLE = "A valid publishable key is required to proceed with the request"


class Guard:
    """Checks keys and issues tokens."""

    def __init__(
        self, state: State, clock: Callable[[], float], lifetime: float
    ) -> None:
        self._state = state
        self._clock = clock
        self._lifetime = lifetime
        self._secret = secrets.token_bytes(32)
        self._expiry: dict[str, float] = {}

    def log_in(self, body: Row) -> str:
        """A token for an e-mail address and a password."""
        if not isinstance(body.get("password"), str):
            raise refusal("unauthorized", "Password should be a string")
        if (body.get("email"), body["password"]) != (EMAIL, PASSWORD):
            raise refusal("unauthorized", "Invalid email or password")
        return self.token()

    def token(self) -> str:
        """A fresh token."""
        now = int(self._clock())
        expiry = now + self._lifetime
        actor = {"actor_type": "user", "iat": now, "exp": expiry}
        head = _encode(dumps({"alg": "HS256", "typ": "JWT"}))
        payload = _encode(dumps({**actor, "jti": secrets.token_hex(4)}))
        signed = f"{head}.{payload}"
        digest = hmac.digest(self._secret, signed.encode(), hashlib.sha256)
        token = f"{signed}.{_encode(digest)}"
        self._expiry[token] = expiry
        return token

    def forget_tokens(self) -> None:
        """Invalidate all tokens issued so far."""
        self._expiry.clear()

    def admit(self, request: web.Request, *, token_only: bool = False) -> None:
        """Check that the request is from an administrator.

        Raises:
            MedusaError: 401 otherwise.
        """
        scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer" and credential.startswith("sk_"):
            raise MedusaError(401, {"message": _BEARER_SECRET})
        if scheme == "Bearer" and self._expiry.get(credential, 0) > self._clock():
            return
        if scheme == "Basic" and not token_only and self._is_key(credential):
            return
        raise unauthorized()

    def _is_key(self, credential: str) -> bool:
        candidates = {credential, _decode(credential)}
        return any(
            key["secret"] in candidates and key["revoked_at"] is None
            for key in self._state.keys.values()
            if key["type"] == "secret"
        )

    def channels(self, request: web.Request) -> list[Row]:
        """The sales channels of a shopper's key."""
        token = request.headers.get("x-publishable-api-key")
        if not token:
            raise refusal("not_allowed", _NO_PUBLISHABLE)
        for key in self._state.keys.values():
            usable = key["type"] == "publishable" and key["revoked_at"] is None
            if usable and key["secret"] == token:
                channels: list[Row] = key["sales_channels"]
                return channels
        raise refusal("not_allowed", _BAD_PUBLISHABLE)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(credential: str) -> str:
    try:
        return base64.b64decode(credential, validate=True).decode().rstrip(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
