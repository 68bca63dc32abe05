"""Anthropic Messages, the only canonical form: frames, requests, legal event order, errors.

Pure: bytes and values in, bytes and values out. Imports only `errors`; no I/O, clock or
randomness (both come in as arguments).
"""
