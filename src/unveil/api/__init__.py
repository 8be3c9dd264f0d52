"""The verbs of unveil in Python. The command line parses, calls these, and prints."""

from unveil.api.embedding import embed, embed_to
from unveil.api.judging import evaluate
from unveil.api.opening import describe, open_data
from unveil.api.pretraining import Run, plan, pretrain, train
from unveil.recipes.kept import load_encoder as load

__all__ = ["Run", "describe", "embed", "embed_to", "evaluate", "load", "open_data", "plan", "pretrain", "train"]
