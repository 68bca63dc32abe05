"""The Anthropic Messages dialect: pass-through, byte for byte, or with repairs.

Anthropic's own API is passed through exactly: what goes up and comes back are the client's and
the API's own bytes. Other servers that speak Messages are imitations, each with its own faults;
their answers are repaired event by event (`Quirks.repair`). Does no I/O.
"""
