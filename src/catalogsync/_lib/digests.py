"""Digests that tell whether something is still the same."""

from __future__ import annotations

from hashlib import blake2b

from . import strict_json

__all__ = ["digest_of", "json_bytes"]


def digest_of(*parts: bytes) -> bytes:
    """A digest of 16 bytes; the lengths of the parts count, too."""
    marked = [b"%d:%b" % (len(part), part) for part in parts]
    return blake2b(b"".join(marked), digest_size=16).digest()


def json_bytes(value: object) -> bytes:
    """A JSON value as bytes, in the order of its keys; any text will do."""
    try:
        return strict_json.dumps(value)
    except ValueError:  # an unpaired surrogate
        return repr(value).encode(errors="surrogatepass")
