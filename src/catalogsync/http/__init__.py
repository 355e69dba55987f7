"""The HTTP client of our adapters, for adapters of your own.

It leaves retries to the engine, reads bodies up to a limit, keeps secrets out of messages,
and raises the errors of `catalogsync.errors`.
"""

from ._client import HttpClient, HttpOptions

__all__ = ["HttpClient", "HttpOptions"]
