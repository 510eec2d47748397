"""Pure features in, numbers out."""
