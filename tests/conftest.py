"""What all tests share."""

import pytest
import torch


@pytest.fixture
def terminal(tmp_path, monkeypatch):
    """An empty folder to work in, and 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Networks in tests are too small for a second thread to help, and with one their figures are the same everywhere."""
    torch.set_num_threads(1)
