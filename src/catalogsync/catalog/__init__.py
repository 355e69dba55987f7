"""Products and what happens to them, as frozen values: no I/O, no wire format."""
