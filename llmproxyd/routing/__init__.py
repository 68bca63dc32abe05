"""From a request to an ordered plan of targets. Pure."""
