"""Numbers from rbalestr-lab/lejepa: ``python make_lejepa.py CHECKOUT COMMIT``.

Both of their forms: the class on the page MINIMAL.md, taken from the page as it runs (its device "cuda" read as "cpu"), and the
package. Random directions are given to them in place of their own draw. None of their code is here.
"""

import re
import sys
from pathlib import Path

import torch
from given import keep, normal

sys.path.insert(0, sys.argv[1])
from lejepa.multivariate import SlicingUnivariateTest
from lejepa.univariate import EppsPulley

page = (Path(sys.argv[1]) / "MINIMAL.md").read_text()
source = re.search(r"^class SIGReg.*?return statistic\.mean\(\)$", page, re.M | re.S).group().replace("cuda", "cpu")
scope = {"torch": torch}
exec(source, scope)

z = 1.3 * normal(1, 3, 40, 8) + 0.2
directions = normal(2, 8, 256)
torch.randn = lambda *shape, **_: directions.clone()
statistic = scope["SIGReg"]()(z)
loss = statistic * 0.02 + (z.mean(0) - z).square().mean() * (1 - 0.02)
package = torch.tensor([[limit, knots, SlicingUnivariateTest(EppsPulley(t_max=limit, n_points=knots), 256)(z).item()]
                        for limit in (1.0, 3.0, 5.0) for knots in (5, 17, 41)], dtype=torch.float64)
leaf = z.clone().requires_grad_()
scope["SIGReg"]()(leaf).backward()
keep("lejepa", f"rbalestr-lab/lejepa @ {sys.argv[2]}, torch {torch.__version__}", minimal=statistic, loss=loss, package=package,
     gradient=leaf.grad)
