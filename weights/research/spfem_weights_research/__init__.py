"""Weights of spfem that were learned from research-only clips: files, no code.

``cdrl_cli/checkpoints/manifest.toml`` of spfem names each file with its sha256.
"""
