"""``unveil embed``."""

from __future__ import annotations

from pathlib import Path

from unveil.commands.words import OUT, command, options_of, print_faults, print_json, say
from unveil.wording import escape


def add(commands) -> None:
    new = command(commands, "embed", run, "Features of every sample, as .npz, .csv or .parquet.",
                  "  unveil embed runs/photos-simclr --data photos/ --out features.npz", data=True)
    new.add_argument("encoder", help="folder of a run or encoder")
    new.add_argument("--data", required=True, help="what to embed")
    new.add_argument("--out", type=Path, default=Path("features.npz"), help="file to write: .npz, .csv or .parquet (default %(default)s)")


def run(given, settings) -> None:
    from unveil import api
    done = api.embed_to(given.encoder, given.data, given.out, options=options_of(given), say=say(given))
    if given.json:
        print_json(done)
    else:
        print_faults(done["faults"])
        OUT.print(f"{done['samples']} x {done['width']} features in {escape(done['out'])}")
