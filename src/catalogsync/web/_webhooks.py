"""Verification of signed webhook requests."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping, Sequence

import attrs
from multidict import MultiMapping

from catalogsync._lib.standard_webhooks import ID, SIGNATURE, TIMESTAMP, signature

from ._errors import RefusalError

_ID = re.compile(r"[!-\-/-~]{1,256}")  # a dot separates the parts of what is signed
_TIME = re.compile(r"[0-9]{1,12}")
_WINDOW = 300
_MOST_SIGNATURES = 10


@attrs.define
class Signatures:
    """Verifies signatures, rejects old requests and recognises repeated ones."""

    secrets: Mapping[str, Sequence[str]] = attrs.field(repr=False)
    clock: Callable[[], float] = time.time
    _answered: dict[bytes, tuple[float, str]] = attrs.field(
        factory=dict[bytes, tuple[float, str]], init=False
    )

    def check(self, job: str, headers: MultiMapping[str], body: bytes) -> bytes:
        """Check that a request is recent and signed with a secret of this job.

        Returns:
            A key of the request, the same whenever it is repeated.

        Raises:
            RefusalError: The request is old or not signed.
        """
        call_id = _header(headers, ID, _ID, "1 to 256 visible characters without dots")
        timestamp = _header(headers, TIMESTAMP, _TIME, "seconds since the epoch")
        if abs(self.clock() - int(timestamp)) > _WINDOW:
            text = f"differs by more than {_WINDOW} s from the server's clock"
            raise RefusalError(401, f"{TIMESTAMP} {text}")
        given = " ".join(headers.getall(SIGNATURE, [])).split()[:_MOST_SIGNATURES]
        right = [
            hmac.compare_digest(desired, each.encode("utf-8", "replace"))
            for secret in self.secrets.get(job, ())
            for desired in [signature(secret, call_id, timestamp, body).encode()]
            for each in given
        ]
        if not any(right):
            raise RefusalError(401, f"{SIGNATURE} does not match")
        # Not the id alone: if a sender reuses it by mistake, no other call gets lost.
        return hashlib.sha256(f"{job}\n{call_id}\n".encode() + body).digest()

    def run_of(self, call: bytes) -> str | None:
        """The id of the run that this request got before; None: it is new."""
        return self._answered.get(call, (0.0, None))[1]

    def keep(self, call: bytes, run_id: str) -> None:
        """Remember the run of a request for as long as it can be repeated."""
        now = self.clock()
        self._answered.pop(call, None)
        self._answered[call] = (now + 2 * _WINDOW, run_id)
        for old, (until, _) in list(self._answered.items()):
            if until >= now:
                break
            del self._answered[old]


def _header(
    headers: MultiMapping[str], name: str, form: re.Pattern[str], what: str
) -> str:
    values = headers.getall(name, [])
    if len(values) != 1 or not form.fullmatch(values[0]):
        raise RefusalError(400, f"{name} must be {what}")
    return values[0]
