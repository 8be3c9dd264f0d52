"""What all tests share."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Networks in tests are too small for a second thread to help, and with one their figures are the same everywhere."""
    torch.set_num_threads(1)
