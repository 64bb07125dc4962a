"""What the tests share: the trained assistant."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from commands.assistant import Assistant
from commands.train import trained_model


@pytest.fixture(scope="session")
def model() -> Path:
    """The trained model, trained now if need be."""
    return trained_model()


@pytest.fixture(scope="session")
def event_loop() -> Any:
    """One event loop for the whole run: the loaded assistant belongs to it."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
async def assistant(model: Path) -> Assistant:
    """The loaded assistant."""
    return await Assistant.load(model)
