"""Stores of what may be answered again."""
