"""Settings of Hypothesis for the tests of the engine."""

from tests import strategies  # noqa: F401
