"""The weights: named, verified, loaded."""
