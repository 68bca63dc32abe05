"""The door for OpenAI clients: Chat Completions in, Messages inside, Chat Completions out.

Translation spec, section 7. Everything here is a pure function of bytes; ids and time are
arguments.
"""
