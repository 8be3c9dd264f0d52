from __future__ import annotations

import numpy as np
import pytest

from unveil import api
from unveil.api import pretraining
from unveil.data.options import Options
from unveil.kinds.kind import templates
from unveil.randomness import Generator
from unveil.reports.page import write_report

HOSTILE = "<script>alert(1)</script>"
TINY = {"encoder.width": 16, "train.batch": 32, "train.precision": "32", "kind.window": 64}
MASKS = {"encoder.depth": 1, "encoder.heads": 2, "method.decoder_width": 16, "method.decoder_depth": 1, "method.decoder_heads": 2}


def tiny(labels: bool = True) -> dict[str, np.ndarray]:
    values, label = templates((2, 64), 160, Generator(0, "report test"))
    names = np.array([HOSTILE, "b & <b>", 'c"', "d"])
    held = {"x": values.numpy(), "groups": np.arange(160) // 4 % 5}
    return held | ({"y": names[label.numpy()]} if labels else {})


@pytest.fixture
def hostile() -> str:
    return HOSTILE


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run of 40 steps, with its report written."""
    judge = pretraining.judge_encoder
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretraining, "judge_encoder", lambda *args, **given: judge(
            *args, **given | {"fine_tune": False, "scratch": False, "draws": 3}))
        made = api.pretrain(tiny(), kind="signal", method="simclr", out=tmp_path_factory.mktemp("run"), hold_out=(0, 1),
                            budgets=(2, None), options=Options(layout="ct"),
                            settings=TINY | {"encoder.stages": 2, "train.steps": 40})
    write_report(made)
    return made


@pytest.fixture(scope="session")
def unlabelled(tmp_path_factory):
    """A masking method on data without labels, with its report written."""
    made = api.pretrain(tiny(labels=False), kind="signal", method="mae", out=tmp_path_factory.mktemp("unlabelled"),
                        options=Options(layout="ct"), settings=TINY | MASKS | {"train.steps": 10})
    write_report(made)
    return made
