"""What differs between a desired and an existing product: pure functions.

`compare` makes changes, `ownership` has the rules for them, `last_applied` the memory
of what was written, and `describe` the differences for people.
"""
