"""Whether SCD uses what it is told: the error of denoising with a sample's own vector, with another's, and with none, as the noise grows.

    python benchmarks/scd_mechanism.py [--encoder painn] [--steps 400] [--seeds 3] [--data molecules/]

Without ``--data`` on the planted set of atoms. Errors are shares of the noise's variance, on samples that were not trained on. Swapping
must cost something. Whether it costs more the larger the noise is asked in two units: the share of the variance, and squared angstrom.
"""

from __future__ import annotations

import argparse
from statistics import mean, stdev

import torch
from rows import write

from unveil.data.opening import open_records
from unveil.data.samples import Samples
from unveil.kinds.atoms import Atoms
from unveil.methods.scd import SCD
from unveil.randomness import Generator
from unveil.recipes.check import find
from unveil.training.loop import Loop
from unveil.training.settings import Training
from unveil.training.step import TrainStep

SIGMAS = (0.02, 0.05, 0.1, 0.2, 0.4)


def taught(kind: Atoms, samples: Samples, encoder: str, sigma: float, steps: int, seed: int) -> SCD:
    """The method after training, in evaluation mode."""
    network = find("encoder", encoder)
    torch.manual_seed(seed)
    method = SCD(network(samples.spec(), **network.tiny), sigma=sigma)
    Loop(method, kind, samples, Training(steps=steps, batch=32, lr=3e-3, precision="32"), seed=seed).run()
    return method.eval()


def errors(method: SCD, kind: Atoms, samples: Samples, sigma: float, seed: int, size: int = 64) -> dict[str, float]:
    """Means over the samples."""
    parts = [method.swapped(samples.batch(at), TrainStep(kind, seed, number, 1), sigma)
             for number, at in enumerate(torch.arange(len(samples)).split(size)) if len(at) == size]
    return {name: mean(float(part[name]) for part in parts) for name in parts[0]}


def main() -> None:
    """Prints and keeps a row a noise that was trained with and a noise that is asked about."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--encoder", default="equivariant", choices=["equivariant", "painn"])
    words.add_argument("--steps", type=int, default=400)
    words.add_argument("--seeds", type=int, default=3)
    words.add_argument("--sigma", type=float, nargs="*", help="train with these alone; else each with its own", default=[])
    words.add_argument("--data")
    asked, rows = words.parse_args(), []
    kind = Atoms()
    for trained in asked.sigma or SIGMAS:
        found: dict[float, list[dict[str, float]]] = {}
        for seed in range(asked.seeds):
            samples = kind.open(open_records(asked.data)[1]) if asked.data else kind.planted(1024, Generator("planted", seed))
            order = torch.from_numpy(Generator("half", seed).permutation(len(samples)).numpy())
            half = len(samples) // 2
            method = taught(kind, samples.subset(order[:half]), asked.encoder, trained, asked.steps, seed)
            for sigma in SIGMAS if asked.sigma else (trained,):
                found.setdefault(sigma, []).append(errors(method, kind, samples.subset(order[half:]), sigma, seed))
        for sigma, of in found.items():
            gaps = [each["swapped"] - each["own"] for each in of]
            rows.append({"encoder": asked.encoder, "data": asked.data or "planted", "trained_with": trained, "sigma": sigma}
                        | {name: round(mean(each[name] for each in of), 4) for name in of[0]}
                        | {"swapping_costs": round(mean(gaps), 4), "error": round(stdev(gaps) / len(gaps) ** 0.5, 4) if gaps[1:] else None,
                           "costs_in_squared_angstrom": round(mean(gaps) * sigma**2, 6)})
            print(rows[-1], flush=True)
    write("scd_mechanism", rows)


if __name__ == "__main__":
    main()
