"""Loggers of other packages: they get every figure by step and the recipe, go on where a run goes on, are off unless named, are missed
before any work, and never end a run. The packages are stood in for; what they take was seen in wandb 0.31 and mlflow 3.17."""

from __future__ import annotations

import importlib.machinery
import json
import sys
import types

import pytest

import unveil
from tiny import SETTINGS, pixels
from unveil import Options, Unusable
from unveil.training import loggers
from unveil.training.log import Log, read


def module(name: str, **held) -> types.ModuleType:
    made = types.ModuleType(name)
    made.__spec__ = importlib.machinery.ModuleSpec(name, None)
    made.__dict__.update(held)
    return made


class Heard(list):
    """What a stand-in was told; ``fails`` names the calls that raise."""

    def __init__(self):
        super().__init__()
        self.fails = set()

    def tell(self, what, *given):
        self.append((what, *given))
        if what in self.fails:
            raise ConnectionError(f"no network for {what}")

    def of(self, what):
        return [given for name, *given in self if name == what]


@pytest.fixture
def wandb(monkeypatch):
    heard = Heard()

    class Run:
        id = "abc"

        def log(self, figures, step):
            heard.tell("log", step, figures)

        def finish(self, exit_code):
            heard.tell("close", exit_code)

    def init(**given):
        heard.tell("open", given)
        return Run()

    monkeypatch.setitem(sys.modules, "wandb", module("wandb", init=init, Settings=lambda **given: given))
    return heard


@pytest.fixture
def mlflow(monkeypatch):
    heard = Heard()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")

    class Client:
        def get_experiment_by_name(self, name):
            return None

        def create_experiment(self, name):
            return "7"

        def create_run(self, experiment, run_name):
            heard.tell("open", {"name": run_name, "experiment": experiment})
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id="abc"))

        def log_batch(self, run, metrics=(), params=()):
            if params:
                heard[-1][1]["config"] = dict(params)
            if metrics:
                heard.tell("log", metrics[0][3], {name: value for name, value, _, _ in metrics})

        def set_terminated(self, run, status):
            heard.tell("close", int(status == "FAILED"))

    entities = module("mlflow.entities", Metric=lambda *given: given, Param=lambda *given: given)
    monkeypatch.setitem(sys.modules, "mlflow", module("mlflow", MlflowClient=Client, entities=entities))
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    return heard


@pytest.fixture(params=["wandb", "mlflow"])
def logger(request):
    return request.param, request.getfixturevalue(request.param)


def teach(folder, name, said=None, **settings):
    told = said.append if said is not None else lambda text: None
    return unveil.pretrain(pixels(), kind="image", out=folder, options=Options(layout="hwc"), say=told,
                           settings=SETTINGS | {"train.logger": name} | settings)


def test_every_figure_by_step_and_the_recipe(logger, tmp_path):
    name, heard = logger
    teach(tmp_path / "mine", name)
    rows = read(tmp_path / "mine" / "metrics.jsonl")
    figures = [{key: value for key, value in row.items() if isinstance(value, float)} for row in rows]
    assert heard.of("log") == [[row["step"], each] for row, each in zip(rows, figures, strict=True)] and len(rows) == 2
    (opened,), = heard.of("open")
    assert opened["name"] == "mine" and str(opened["config"]["encoder.width"]) == "16" and heard.of("close") == [[0]]


def test_nothing_is_sent_unless_named(wandb, mlflow, tmp_path):
    teach(tmp_path, "none")
    assert not wandb and not mlflow and not (tmp_path / "logger.json").exists()


@pytest.mark.parametrize("call", ["open", "log", "close"])
def test_a_failure_is_told_once_and_the_run_ends_well(logger, tmp_path, call):
    name, heard = logger
    heard.fails = {call}
    said, plain = [], teach(tmp_path / "plain", "none")
    run = teach(tmp_path / "run", name, said)
    warned = [text for text in said if "failed" in text]
    assert warned == [f"{name} failed (ConnectionError: no network for {call}): the run goes on without it; its figures are in "
                      "metrics.jsonl"]
    assert run.ending.status == "finished" and len(heard.of(call)) == 1
    assert all((a == b).all() for a, b in zip(run.encoder.state_dict().values(), plain.encoder.state_dict().values(), strict=True))


def test_a_run_that_goes_on_is_the_same_run_there(wandb, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for start in (0, 4):
        with Log(tmp_path / "checkpoints", start, "wandb") as log:
            log.write({"step": start + 1, "loss": 0.5})
    assert [given["id"] for given, in wandb.of("open")] == [None, "abc"] and wandb.of("log") == [[1, {"loss": 0.5}], [5, {"loss": 0.5}]]


def test_mlflow_goes_on_without_opening_again(mlflow, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for start in (0, 4):
        with Log(tmp_path / "checkpoints", start, "mlflow"):
            pass
    assert len(mlflow.of("open")) == 1 and json.loads((tmp_path / "logger.json").read_text()) == {"mlflow": "abc"}


def test_a_run_that_an_error_ended_is_marked(wandb, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(Unusable), Log(tmp_path / "checkpoints", 0, "wandb"):
        raise Unusable("the loss became nan")
    assert wandb.of("close") == [[1]]


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_named_before_any_work(tmp_path, monkeypatch, name):
    monkeypatch.setattr(loggers.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(Unusable, match=rf"--train.logger {name} needs the package {name}: pip install 'unveil\[{name}\]'"):
        teach(tmp_path / "run", name)
    assert not (tmp_path / "run").exists()


def test_a_logger_that_there_is_not(tmp_path):
    with pytest.raises(Unusable, match=r"train.logger is 'wandbb'; it can be 'none' or 'wandb' or 'mlflow'"):
        teach(tmp_path / "run", "wandbb")
