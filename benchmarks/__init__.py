"""What catalogsync costs: ``python -m benchmarks`` (``make bench``)."""
