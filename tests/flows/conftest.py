from collections.abc import Iterator

import pytest

from flows.engines.local import LocalEngine


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalEngine]:
    """One warm pool for all tests that run stages."""
    pool = LocalEngine(2)
    yield pool
    pool.close()
