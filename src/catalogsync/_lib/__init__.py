"""Helpers that do not depend on catalogs."""
