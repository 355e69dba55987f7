"""Sources and sinks: one module or folder for each system or format."""
