"""The only outgoing connections, and the secrets they need."""
