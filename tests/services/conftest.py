"""The components these tests share. All of these tests carry the marker `services`."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.running import Postgres, Proxy, Redis

# The longest takes about a minute on an idle machine; what waits for ever must not hold up continuous integration.
LIMIT_SECONDS = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder, and limit its time."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("services")
            item.add_marker(pytest.mark.timeout(LIMIT_SECONDS))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; a test that breaks it mends it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder))
        server.start()
        yield server
        server.go_on()
        server.kill()


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """A Redis server; a test that breaks it mends it."""
    with tempfile.TemporaryDirectory() as folder:
        server = Redis(Path(folder))
        server.start()
        yield server
        server.kill()


@pytest.fixture
def proxy(postgres: Postgres) -> Iterator[Proxy]:
    """A way to the database that can be disturbed."""
    between = Proxy(postgres.port)
    yield between
    between.close()
