"""Configuration to immutable snapshot, and the swap."""
