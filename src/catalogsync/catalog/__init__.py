"""Products and what happens to them, as frozen values: no I/O, no wire format.

`products` has the model, `changes` what has to happen to a product, `outcomes` what
has happened to it, and `convert` the JSON form of a product.
"""
