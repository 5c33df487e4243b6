"""Settings of all tests."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Compute on one thread: two that wait for each other make small fits many times slower."""
    torch.set_num_threads(1)
