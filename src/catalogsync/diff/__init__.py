"""What differs between a desired and an existing product: pure functions.

`compare` makes changes, with `variants` for a product's variants, `merging` for lists
and `edits` for manual edits. `ownership` has the rules for changes, `last_applied` the
memory of what was written, and `describe` the differences for people.
"""
