"""The proxy port: aiohttp in, pipeline call, bytes out."""
