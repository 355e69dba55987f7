"""The SQL sink makes its tables when it first writes, and not before."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.sql_databases import POSTGRES, Hand, OpenSink
from tests.adapters.sql_products import (
    ALL,
    bring_about,
    category_reference,
    creation,
    find_one,
    found,
    product,
    write_reference,
)

from catalogsync.adapters.sql import SQLSettings, SQLSink
from catalogsync.engine import rehearse
from catalogsync.adapters.memory import MemorySource
from catalogsync.models import Category
