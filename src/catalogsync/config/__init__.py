"""Jobs, written in Python or read from a TOML file.

```toml
[jobs.products]
source = { type = "dummyjson", url = "https://dummyjson.com" }
sink = { type = "sql", url = "sqlite:///catalog.db" }
```

```python
job = load_config("catalogsync.toml").job("products")
report = await job.run()
```
"""

from __future__ import annotations

from ._adapters import AdapterInfo, AdapterKind, Adapters, SettingInfo
from ._file import Config, load_config, load_serve, load_state
from ._job import Job
from ._lanes import Lane
from ._presets import from_preset, presets
from ._secrets import secrets_of
from ._serve import Access, NotifySettings, Role, ServeSettings, Token

__all__ = [
    "Access",
    "AdapterInfo",
    "AdapterKind",
    "Adapters",
    "Config",
    "Job",
    "Lane",
    "NotifySettings",
    "Role",
    "ServeSettings",
    "SettingInfo",
    "Token",
    "from_preset",
    "load_config",
    "load_serve",
    "load_state",
    "presets",
    "secrets_of",
]
