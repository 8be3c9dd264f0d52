"""Checks that a method, a kind or an encoder keeps its contract. They serve the package's own and yours alike.

In a test file of yours::

    from unveil.testing import check_method

    def test_mine():
        check_method(Mine)

Each check raises AssertionError with a sentence on what is wrong.
"""

from unveil.testing.cell import Cell, bits
from unveil.testing.encoders import check_encoder
from unveil.testing.kinds import check_kind
from unveil.testing.learning import Learned, check_learning, check_twin, learn
from unveil.testing.methods import (
    CONTRACT,
    check_draws,
    check_gradients,
    check_method,
    check_mixed,
    check_output,
    check_resume,
    check_saving,
    check_waits,
)

__all__ = ["CONTRACT", "Cell", "Learned", "bits", "check_draws", "check_encoder", "check_gradients", "check_kind", "check_learning",
           "check_method", "check_mixed", "check_output", "check_resume", "check_saving", "check_twin", "check_waits", "learn"]
