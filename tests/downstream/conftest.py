"""Fixtures of the downstream tests."""

from __future__ import annotations

import aiohttp
import pytest


@pytest.fixture
async def http():
    """A plain HTTP client session."""
    async with aiohttp.ClientSession() as session:
        yield session
