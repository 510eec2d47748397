"""Networks as such: what knows tensors, not faces."""
