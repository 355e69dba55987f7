"""Settings of Hypothesis for the tests of single parts."""

from tests import strategies  # noqa: F401
