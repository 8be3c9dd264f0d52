"""The verbs of unveil in Python. The command line parses, calls these, and prints."""

from unveil.api.embedding import embed, embed_to
from unveil.api.exporting import export
from unveil.api.inspecting import inspect
from unveil.api.judging import evaluate
from unveil.api.opening import describe, open_data
from unveil.api.planning import Plan, plan
from unveil.api.pretraining import Run, pretrain, settle, train
from unveil.api.previewing import preview
from unveil.api.rerunning import Rerun, rerun
from unveil.api.selecting import Candidate, select
from unveil.recipes.kept import load_encoder as load

__all__ = ["Candidate", "Plan", "Rerun", "Run", "describe", "embed", "embed_to", "evaluate", "export", "inspect", "load", "open_data",
           "plan", "pretrain", "preview", "rerun", "select", "settle", "train"]
