"""``unveil doctor``."""

from __future__ import annotations

from unveil.commands.words import OUT, command


def add(commands) -> None:
    command(commands, "doctor", run, "Check this machine: devices, memory, optional packages, data cache.", "  unveil doctor")


def run(given, settings) -> None:
    from unveil.listing import doctor
    doctor(OUT, given.json)
