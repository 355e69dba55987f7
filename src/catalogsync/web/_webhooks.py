"""Verification of signed webhook requests."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping, Sequence

import attrs
from multidict import MultiMapping

from ._errors import RefusalError

__all__ = ["Signatures", "sign"]

_TIMESTAMP = "X-Catalogsync-Timestamp"
_SIGNATURE = "X-Catalogsync-Signature"
_TIME = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_WINDOW = 300.0
_MOST_SIGNATURES = 10


def sign(secret: str, body: bytes, *, at: float | None = None) -> dict[str, str]:
    """The headers that sign a webhook call.

    Args:
        secret: The secret of the webhook.
        body: The bytes of the request body, exactly as sent.
        at: Time of the call, in seconds since the epoch; None: now.
    """
    timestamp = f"{time.time() if at is None else at:.6f}"
    return {_TIMESTAMP: timestamp, _SIGNATURE: f"v1={_hmac(secret, timestamp, body)}"}


def _hmac(secret: str, timestamp: str, body: bytes) -> str:
    message = timestamp.encode() + b"." + body
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def _refuse(text: str) -> RefusalError:
    return RefusalError(401, text)


@attrs.define
class Signatures:
    """Verifies signatures, and rejects old and replayed requests.

    Attributes:
        secrets: The secrets by job.
        clock: Seconds since the epoch.
    """

    secrets: Mapping[str, Sequence[str]] = attrs.field(repr=False)
    clock: Callable[[], float] = time.time
    _seen: dict[bytes, float] = attrs.field(factory=dict[bytes, float], init=False)

    def check(self, job: str, headers: MultiMapping[str], body: bytes) -> bytes:
        """Check that a request is new and signed with a secret of this job.

        Returns:
            An id of the request, for `forget`.

        Raises:
            RefusalError: The signature is not valid, or the request is old or replayed.
        """
        timestamp = _timestamp(headers)
        moment, now = float(timestamp), self.clock()
        if abs(now - moment) > _WINDOW:
            raise _refuse(
                f"{_TIMESTAMP} differs by more than {_WINDOW:g} s from the server's clock"
            )
        if not self._is_right(job, timestamp, body, _given(headers)):
            raise _refuse(f"{_SIGNATURE} does not match")
        # Independent of which secret signed it: a replay with another one is a replay.
        call = hashlib.sha256(f"{job}\n{timestamp}\n".encode() + body).digest()
        self._forget_old(now)
        if call in self._seen:
            raise _refuse(
                "replayed request; retry with a fresh timestamp and signature"
            )
        self._seen[call] = moment + _WINDOW
        return call

    def forget(self, call: bytes) -> None:
        """Accept a request again, because it was not fulfilled."""
        self._seen.pop(call, None)

    def _is_right(
        self, job: str, timestamp: str, body: bytes, given: Sequence[bytes]
    ) -> bool:
        right = False
        for secret in self.secrets.get(job, ()):
            desired = _hmac(secret, timestamp, body).encode()
            for signature in given:
                right |= hmac.compare_digest(desired, signature)
        return right

    def _forget_old(self, now: float) -> None:
        for call, until in list(self._seen.items()):
            if until >= now:
                break
            del self._seen[call]


def _timestamp(headers: MultiMapping[str]) -> str:
    values = headers.getall(_TIMESTAMP, [])
    if len(values) != 1 or not _TIME.fullmatch(values[0]):
        raise RefusalError(400, f"{_TIMESTAMP} must be seconds since the epoch")
    return values[0]


def _given(headers: MultiMapping[str]) -> list[bytes]:
    texts = ",".join(headers.getall(_SIGNATURE, [])).split(",")
    parts = (text.strip().partition("=") for text in texts)
    given = [
        value.encode("utf-8", "replace")
        for version, _, value in parts
        if version == "v1"
    ]
    if not given or len(given) > _MOST_SIGNATURES:
        text = f"{_SIGNATURE} must be v1=HEX, or up to {_MOST_SIGNATURES} of these"
        raise RefusalError(401, text)
    return given
