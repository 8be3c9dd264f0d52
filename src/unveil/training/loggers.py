"""Where a run's figures go besides its own folder: TensorBoard files where it is installed; Weights & Biases or MLflow where the user
names one. Nothing is sent anywhere else, and what these packages do not manage never ends a run."""

from __future__ import annotations

import importlib.util
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from unveil.errors import Unusable
from unveil.training.checkpoint import write_json

PROJECT = "unveil"


class Logger(Protocol):
    """Takes figures by step. Its class is made with the folder of the run and the step that the run goes on from."""

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Takes the figures of a step."""

    def close(self, failed: bool) -> None:
        """Ends the log, of a run that ended itself or was ended by an error."""


class TensorBoard:
    """Event files in the run's folder."""

    def __init__(self, folder: Path, start: int):
        from torch.utils.tensorboard import SummaryWriter
        self.writer = SummaryWriter(folder / "tensorboard", purge_step=start)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self.writer.add_scalar(name, value, step)

    def close(self, failed: bool) -> None:
        self.writer.close()


class WandB:
    """Weights & Biases, with its own account settings (``WANDB_MODE``, ``WANDB_PROJECT`` ...). It is given the figures and the recipe;
    no code, no console, no data."""

    def __init__(self, folder: Path, start: int):
        import wandb
        quiet = wandb.Settings(console="off", disable_code=True, disable_git=True, finish_timeout=60)
        self.run = wandb.init(project=os.environ.get("WANDB_PROJECT", PROJECT), name=folder.name, dir=str(folder), settings=quiet,
                              id=known(folder, "wandb", start), resume="allow", config=_recipe(folder))
        remember(folder, "wandb", self.run.id)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self.run.log(dict(figures), step=step)

    def close(self, failed: bool) -> None:
        self.run.finish(exit_code=int(failed))


class MLflow:
    """An MLflow store, named by its own ``MLFLOW_TRACKING_URI`` and ``MLFLOW_EXPERIMENT_NAME``. It is given the figures and the recipe."""

    def __init__(self, folder: Path, start: int):
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # by default a server that is gone holds a run for minutes
        import mlflow
        from mlflow.entities import Metric, Param
        self.client, self.metric = mlflow.MlflowClient(), Metric
        self.run = known(folder, "mlflow", start)
        if self.run is None:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
            held = self.client.get_experiment_by_name(name)
            home = held.experiment_id if held else self.client.create_experiment(name)
            self.run = self.client.create_run(home, run_name=folder.name).info.run_id
            self.client.log_batch(self.run, params=[Param(key, str(value)[:500]) for key, value in _recipe(folder).items()])
            remember(folder, "mlflow", self.run)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        self.client.log_batch(self.run, metrics=[self.metric(name, value, now, step) for name, value in figures.items()])

    def close(self, failed: bool) -> None:
        self.client.set_terminated(self.run, status="FAILED" if failed else "FINISHED")


TABLE = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}


class Careful:
    """A logger whose failure is told once; it is then left alone.

    Args:
        name: in the table.
        folder: of the run.
        start: step that the run goes on from.
        say: tells the user a sentence.
    """

    def __init__(self, name: str, folder: Path, start: int, say: Callable[[str], None]):
        self.name, self.say, self.logger = name, say, None
        self._try(lambda: setattr(self, "logger", TABLE[name](folder, start)))

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        if self.logger:
            self._try(lambda: self.logger.log(step, figures))

    def close(self, failed: bool) -> None:
        if self.logger:
            self._try(lambda: self.logger.close(failed))

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as why:  # packages and networks of others
            self.logger = None
            first = next(iter(str(why).splitlines()), "")[:160]
            self.say(f"{self.name} failed ({type(why).__name__}: {first}): the run goes on without it; its figures are in metrics.jsonl")


def needed(name: str) -> None:
    """Looks for the package of a logger, before any work.

    Raises:
        Unusable: where it is not installed.
    """
    if name != "none" and importlib.util.find_spec(name) is None:
        raise Unusable(f"--train.logger {name} needs the package {name}: pip install 'unveil[{name}]'")


def known(folder: Path, name: str, start: int) -> str | None:
    """The id that the run had there, where it goes on."""
    try:
        return json.loads((folder / "logger.json").read_text())[name] if start else None
    except (OSError, ValueError, KeyError):
        return None


def remember(folder: Path, name: str, run: str) -> None:
    """Keeps the id for a run that goes on."""
    write_json(folder / "logger.json", {name: run})


def _recipe(folder: Path) -> dict[str, object]:
    """Settings of the run by dotted name."""
    try:
        held = json.loads((folder / "recipe.json").read_text())
    except (OSError, ValueError):
        return {}
    return {f"{section}.{name}": value for section in ("kind", "encoder", "method", "train") for name, value in held[section].items()} | {
        "seed": held["seed"]}
