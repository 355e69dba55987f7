"""Hooks that hand what happens in runs to other systems.

Each is in a module of its own, which needs its own extra.
"""
