"""The HTTP client of the included adapters, for your own adapters.

It leaves retries to the engine, limits the size of answers, keeps secrets out of
messages, and raises the errors of `catalogsync.errors`. `open_images` fetches images
from addresses that nobody has checked.
"""

from ._client import (
    HttpClient,
    HttpOptions,
    Reply,
    address_repr,
    base_url,
    open_http,
)
from ._images import ImageFetcher, ImageOptions, open_images
from .ratelimit import RateLimiter

__all__ = [
    "HttpClient",
    "HttpOptions",
    "ImageFetcher",
    "ImageOptions",
    "RateLimiter",
    "Reply",
    "address_repr",
    "base_url",
    "open_http",
    "open_images",
]
