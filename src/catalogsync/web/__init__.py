"""The HTTP API of a `catalogsync.service.Service`, for any aiohttp application.

```python
host.add_subapp("/sync", web_app(service, access=Access(tokens={"me": token})))
```
"""

from __future__ import annotations

from catalogsync._lib.standard_webhooks import sign
from catalogsync.config import Access, Role, Token

from ._app import web_app
from ._context import Metrics
from ._middleware import AccessLogger

__all__ = ["Access", "AccessLogger", "Metrics", "Role", "Token", "sign", "web_app"]
