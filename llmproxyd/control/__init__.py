"""The control socket: types shared with the client, and the handlers."""
