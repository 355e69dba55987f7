"""What differs between a product as the source wants it and as the sink has it: pure functions."""
