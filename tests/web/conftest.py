"""What needs the real Medusa can be left out."""

from __future__ import annotations

from tests.real import real_is_desired

collect_ignore = [] if real_is_desired() else ["test_serve_real.py"]
