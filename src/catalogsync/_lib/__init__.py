"""Helpers that know nothing of catalogs."""
