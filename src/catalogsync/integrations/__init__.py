"""Hooks for other systems: logs, metrics, traces and notifications.

Each is in a module of its own and may require an extra.
"""
