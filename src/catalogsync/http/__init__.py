"""The HTTP client that adapters use."""
