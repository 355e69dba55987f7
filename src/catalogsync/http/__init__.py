"""The HTTP client of the included adapters, for your own adapters.

It leaves retries to the engine, limits the size of answers, keeps secrets out of
messages, and raises the errors of `catalogsync.errors`.
"""

from ._client import (
    HttpClient,
    HttpOptions,
    Reply,
    address_repr,
    base_url,
    open_http,
)
from .ratelimit import RateLimiter

__all__ = [
    "HttpClient",
    "HttpOptions",
    "RateLimiter",
    "Reply",
    "address_repr",
    "base_url",
    "open_http",
]
