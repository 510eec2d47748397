"""Which expression, and which pixels."""
