"""An encoder beside what it has to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from unveil.contracts import Encoder
from unveil.data.split import Split
from unveil.recipes.recipe import build_encoder
from unveil.tasks.embedded import frozen, raw
from unveil.tasks.judge import judge
from unveil.training.measure import device


def judge_encoder(encoder: Encoder, parts: Split, *, budgets: Sequence[int | None] = (1, 5, 20, None), draws: int = 5, seed: int = 0,
                  networks: bool = True, beside: list[dict[str, Any]] | None = None,
                  say: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """The encoder, frozen and fine-tuned, and after it its controls: ``beside``, where they were judged before."""
    here = device()
    ways, trained = {"encoder": frozen(encoder.to(here))}, {"fine-tuned": encoder} if networks else {}
    if source := encoder.settings.get("source"):
        loaded = build_encoder({"name": "pretrained", "source": source}, encoder.spec, seed)
        ways["weights as loaded"] = frozen(loaded.to(here))
    how = dict(budgets=budgets, draws=draws, seed=seed, say=say)
    rows = judge(parts, ways, trained, encoder.kind, device=here, **how)
    return rows + (judge_controls(encoder, parts, networks=networks, **how) if beside is None else beside)


def judge_controls(encoder: Encoder, parts: Split, *, budgets: Sequence[int | None], draws: int, seed: int, networks: bool,
                   say: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """What stands beside an encoder and does not depend on its training: the same network untaught, raw values, the kind's
    statistics, and that network trained on the labels from scratch."""
    here = device()
    untaught = build_encoder(encoder.settings, encoder.spec, seed).to(here)
    ways = {"random init": frozen(untaught), "raw + PCA": raw(parts.train), "statistics": encoder.kind.statistics}
    trained = {"from scratch": untaught} if networks else {}
    return judge(parts, ways, trained, encoder.kind, budgets=budgets, draws=draws, seed=seed, device=here, say=say)
