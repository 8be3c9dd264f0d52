"""Processor time of a training step of every method on both kinds, at the small scale."""

from __future__ import annotations

import torch
from rows import write

from unveil.data.opening import open_records
from unveil.recipes import recipe as recipes
from unveil.recipes.check import names
from unveil.training.loop import Loop


def main() -> None:
    """Prints and keeps a row a method and data set."""
    rows = []
    for data in ("watch", "fashion-mnist"):
        kind, records = open_records(data)
        for method in names("method"):
            recipe = recipes.resolve(method, kind, scale="small")
            samples = recipe.build_kind().open(records)
            settings = recipe.training()
            loop = Loop(recipe.build_method(recipe.build_encoder(samples.spec())), recipe.build_kind(), samples, settings)
            loop.total = 12
            ending = loop.run()
            rows.append({"data": data, "method": method, "encoder": recipe.encoder["name"], "batch": settings.batch,
                         "threads": torch.get_num_threads(), "ms": round(1000 * ending.cpu_seconds / ending.step, 1)})
            print(rows[-1])
    write("steps", rows)


if __name__ == "__main__":
    main()
