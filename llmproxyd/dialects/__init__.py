"""Wire formats spoken upstream; one module or folder each, unaware of one another. Pure."""
