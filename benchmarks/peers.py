"""The peers' own environment, and processes in it that make one step at a time.

The environment is made on first use in the cache (or where ``UNVEIL_PEERS`` says) and never touches ours. unveil is installed there
too, so that all contenders run on the same interpreter and the same torch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from unveil.data.locate import cache_folder

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ["lightly[timm]==1.6.0", "stable-pretraining==0.1.8", "torchvision==0.28.0"]


def python() -> Path:
    """The interpreter of the peers' environment; made where there is none."""
    home = Path(os.environ.get("UNVEIL_PEERS", cache_folder() / "peers"))
    interpreter = home / "bin" / "python"
    if not (home / "complete").exists():
        print(f"making the peers' environment in {home} (minutes)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(interpreter), "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), *PACKAGES,
                        "-e", str(ROOT)], check=True)
        (home / "complete").touch()
    return interpreter


class Process:
    """A script of this folder in the peers' environment: takes a line of JSON, answers with one.

    Args:
        script: file name.
        threads: of torch.
        **asked: what it is started with.
    """

    def __init__(self, script: str, threads: int = 1, **asked):
        env = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", "PYTHONWARNINGS": "ignore",
                            "HF_HUB_OFFLINE": "1"}
        self.name = json.dumps(asked)
        self.process = subprocess.Popen([str(python()), str(ROOT / "benchmarks" / script), json.dumps(asked)], env=env, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def __call__(self, **asked) -> dict:
        """One request and its answer."""
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        while line := self.process.stdout.readline():
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"{self.name} ended with status {self.process.wait()}")

    def close(self) -> None:
        """Ends it."""
        self.process.kill()
        self.process.wait()
