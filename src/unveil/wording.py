"""Text from outside, such as names of files and labels, made fit to be shown."""

from __future__ import annotations

import unicodedata

from rich.markup import escape as without_markup

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # some scripts cannot be written without
LONGEST = 1000


def printable(text: str) -> str:
    """Without anything that a terminal obeys or nobody sees: control and direction characters and halves of characters are written out,
    such as ``\\x1b``."""
    if text.isprintable():
        return text
    shown = lambda sign: sign in JOINERS or unicodedata.category(sign) not in HIDDEN
    return "".join(sign if shown(sign) else sign.encode("unicode_escape").decode() for sign in text)


def sentence(text: str) -> str:
    """A message that may quote anything: its lines printable, and none so long that the rest is out of sight."""
    lines = (printable(line) for line in text.split("\n"))
    return "\n".join(f"{line[:LONGEST * 2 // 3]} ... {line[-LONGEST // 3:]}" if len(line) > LONGEST else line for line in lines)


def escape(text: str) -> str:
    """For a console of rich: printable, and brackets are no markup."""
    return without_markup("\n".join(map(printable, text.split("\n"))))
