"""What the networks are worth, measured on the shipped path."""
