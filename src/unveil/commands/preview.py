"""``unveil preview``."""

from __future__ import annotations

from pathlib import Path

from unveil.commands.words import OUT, command, numbers, options_of, print_json, say
from unveil.wording import escape


def add(commands) -> None:
    new = command(commands, "preview", run, "Pictures of the views and masks that a method will see, before any training.",
                  "  unveil preview i-jepa photos/\n"
                  "  unveil preview simclr watch --method.area [0.5,1.0] --out views.html\n"
                  "  unveil preview mine.yaml photos/", data=True)
    new.set_defaults(settings=True)
    new.add_argument("method", help="name (unveil list shows all) or YAML file of settings")
    new.add_argument("data", help="folder, file, built-in set, or hf:NAME")
    new.add_argument("--encoder", help="network: transformer, conv, or hf:NAME_OR_FOLDER")
    new.add_argument("--scale", default="auto", choices=["auto", "small", "published"], help="settings to start from (default auto)")
    new.add_argument("--hold-out", metavar="GROUPS", help="numbers of the groups that will be scored on, such as 0,1,2")
    new.add_argument("--seed", type=int, default=0, help="of the run whose first steps are shown (default 0)")
    new.add_argument("--samples", type=int, default=4, help="how many are drawn (default %(default)s)")
    new.add_argument("--steps", type=int, default=4, help="how many are drawn of each sample (default %(default)s)")
    new.add_argument("--out", type=Path, default=Path("preview.html"), help="page to write (default %(default)s)")
    new.epilog = "Any setting can be given by its name, such as --method.area [0.2,1.0];\nunveil list METHOD shows them."


def run(given, settings) -> None:
    from unveil import api
    from unveil.reports.page import write_preview
    found = api.preview(given.method, given.data, encoder=given.encoder, scale=given.scale, seed=given.seed,
                        hold_out=numbers(given.hold_out), options=options_of(given), settings=settings, samples=given.samples,
                        steps=given.steps, say=say(given))
    page = write_preview(found, f"{found['method']} on {given.data}", given.out)
    if given.json:
        print_json({name: found[name] for name in ("method", "kind", "recipe", "words")} | {"page": str(page)})
    else:
        OUT.print(f"[bold]{found['method']}[/] on {escape(given.data)} sees of every sample, at each step:")
        for sentence in found["words"]:
            OUT.print(f"  {escape(sentence)}")
        OUT.print(f"page   {escape(str(page))}")
