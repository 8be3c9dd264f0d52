"""What a user's mistake raises. Light to import, so that the command line answers at once."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from unveil.wording import sentence


class Unusable(Exception):
    """A mistake of the user's that has one clear sentence: what is wrong, where, and what to do. Printed without traceback."""

    def __init__(self, why: str):
        super().__init__(sentence(why))


class TooShort(Unusable):
    """No record is as long as a sample.

    Attributes:
        setting: of the kind, that says how long a sample is.
        longest: what it would be to read the longest record whole.
    """

    def __init__(self, why: str, setting: str, longest: int):
        super().__init__(why)
        self.setting, self.longest = setting, longest


def nearest(name: str, known: Sequence[str]) -> str:
    """The end of a sentence about an unknown name: the known one that is most like it, else all."""
    close = difflib.get_close_matches(name, known, 1, 0.4)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(known) or 'none'}"
