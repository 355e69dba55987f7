"""Signatures of https://www.standardwebhooks.com, for calls in both directions."""

from __future__ import annotations

import hmac
import time
from base64 import b64decode, b64encode
from uuid import uuid4

from catalogsync.errors import MisconfiguredError

__all__ = ["ID", "SIGNATURE", "TIMESTAMP", "key_of", "sign", "signature"]

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
_PREFIX = "whsec_"
_SIZES = range(24, 65)


def sign(
    secret: str, body: bytes, *, call_id: str | None = None, at: float | None = None
) -> dict[str, str]:
    """The headers that sign a webhook call.

    Args:
        secret: The secret, `whsec_` and base64.
        body: The bytes of the request body, exactly as sent.
        call_id: Id of the call, the same whenever it is repeated; None: a new one.
        at: Time of the call, in seconds since the epoch; None: now.
    """
    call_id = call_id or f"msg_{uuid4().hex}"
    timestamp = str(int(time.time() if at is None else at))
    return {
        ID: call_id,
        TIMESTAMP: timestamp,
        SIGNATURE: signature(secret, call_id, timestamp, body),
    }


def signature(secret: str, call_id: str, timestamp: str, body: bytes) -> str:
    """The signature of a call, with its version."""
    message = f"{call_id}.{timestamp}.".encode() + body
    digest = hmac.digest(key_of("secret", secret), message, "sha256")
    return f"v1,{b64encode(digest).decode()}"


def key_of(setting: str, secret: str) -> bytes:
    """The key in a secret.

    Raises:
        MisconfiguredError: It is not `whsec_` and the base64 of 24 to 64 bytes.
    """
    try:
        key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if len(key) not in _SIZES or not secret.startswith(_PREFIX):
        problem = f"must be {_PREFIX} and the base64 of 24 to 64 random bytes"
        raise MisconfiguredError(setting, problem)
    return key
