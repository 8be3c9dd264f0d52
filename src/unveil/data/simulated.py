"""Simulated EEG: recordings that are computed, of people who never were, whose sources and classes are known.

A person is dipoles in the spherical head of :mod:`unveil.data.sphere`: sources of 1 / f power all over the cortex, a strong rhythm at the
back of the head that comes and goes, and a rhythm of about 10 Hz beneath C3 and C4 each. Thinking of a hand, that on the
other side of the head is weaker (event-related desynchronisation; Pfurtscheller and Lopes da Silva, Clin. Neurophysiol.
110 (1999) 1842): that is the class, ``left`` or ``right``. Beside it blinks, and bursts of muscles, which lie outside the skull. Each
person wears one of several caps, so that recordings differ in their electrodes; the reference is the mean of both mastoids.

Strengths, in nanoampere metres, give background, rhythms, blinks and muscles the heights at the scalp that textbooks have. That of the
rhythm beneath C3 and C4 is such that an untaught network tells the classes of people of seed 1000 a little better than chance and powers
of bands do well; no other seed was looked at before.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from unveil.data.annotations import made
from unveil.data.montages import TEN_TWENTY, place, places
from unveil.data.options import Options
from unveil.data.records import Records
from unveil.data.series import Series
from unveil.data.sphere import one_sphere, shells
from unveil.randomness import Generator

CAPS = {  # electrodes by name of the cap; the second and the fourth are those of products, the first of a kit
    "8": ("Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2"),
    "14": ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4"),
    "19": TEN_TWENTY,
    "32": ("Fp1", "AF3", "F7", "F3", "FC1", "FC5", "T7", "C3", "CP1", "CP5", "P7", "P3", "Pz", "PO3", "O1", "Oz", "O2", "PO4", "P4", "P8",
           "CP6", "CP2", "C4", "T8", "FC6", "FC2", "F4", "F8", "AF4", "Fp2", "Fz", "Cz")}
MASTOIDS = ("M1", "M2")
ALL = tuple(sorted({name for names in CAPS.values() for name in names}))
RATE, SECONDS, TRIAL = 128, 120, 4  # values a second, length of a recording, seconds of a class at a stretch
LEARN, TEST = 24, 12  # people of the built-in set
CORTEX, SOURCES = 0.8, 48  # head radii at which sources lie, and their number
BACKGROUND, BACK, HAND = 30.0, 60.0, 60.0  # deviations of each source, of the rhythm at the back, and of one beneath C3 or C4
WEAKER = (0.6, 0.9)  # by what share the rhythm falls, which differs between people
EYES, BLINKS, BLINK = 500.0, 12.0, 0.35  # height of a blink at the eyes, blinks a minute, seconds of one
MUSCLE, BURSTS = 40.0, 6.0  # deviation within a burst, bursts a minute of each of four muscles
SENSOR = 1.0  # microvolts of white noise at each electrode


def _noise(generator: Generator, count: int, power: np.ndarray) -> np.ndarray:
    """Noise ``(count, T)`` of deviation 1 whose power over frequency is ``power (T // 2 + 1)``."""
    length = 2 * (len(power) - 1)
    x = np.fft.irfft(np.fft.rfft(generator.normal(count, length).numpy().astype(np.float64)) * np.sqrt(power), length)
    return x / x.std(1, keepdims=True)


def _band(at: np.ndarray, low: float, high: float) -> np.ndarray:
    return ((at >= low) & (at <= high)).astype(float)


def _rhythm(generator: Generator, at: np.ndarray, count: int, hertz: float) -> np.ndarray:
    """Noise of a hertz about ``hertz``, so that it comes and goes over seconds."""
    return _noise(generator, count, np.exp(-0.5 * ((at - hertz) / 0.5) ** 2))


def _bumps(generator: Generator, time: np.ndarray, often: float, seconds: tuple[float, float]) -> np.ndarray:
    """Raised cosines of height up to 1 at random times, ``often`` a minute."""
    out = np.zeros(len(time))
    for middle, length, height in generator.uniform(max(1, round(often * time[-1] / 60)), 3).numpy().tolist():
        away = (time - middle * time[-1]) / (seconds[0] + length * (seconds[1] - seconds[0]))
        out = np.maximum(out, np.where(np.abs(away) < 0.5, (0.6 + 0.4 * height) * (0.5 + 0.5 * np.cos(2 * np.pi * away)), 0))
    return out


def _towards(generator: Generator, where: np.ndarray, spread: float) -> np.ndarray:
    """Directions about ``where (n, 3)``, off by ``spread`` radians in deviation along either way."""
    out = where + spread * generator.normal(*where.shape).numpy()
    return out / np.linalg.norm(out, axis=1, keepdims=True)


@lru_cache(64)
def person(seed: int, number: int) -> tuple[np.ndarray, tuple[tuple[float, float, str], ...]]:
    """Microvolts ``(C, T)`` at all electrodes of all caps against the mastoids, and beginning, length and class of each trial."""
    generator = Generator(seed, "person", number)
    time, electrodes = np.arange(RATE * SECONDS) / RATE, np.concatenate([places(ALL), places(MASTOIDS)])
    at = np.fft.rfftfreq(len(time), 1 / RATE)
    cortex = _towards(generator, np.zeros((4 * SOURCES, 3)), 1.0)
    cortex = cortex[cortex[:, 2] > -0.2][:SOURCES]
    moments = _towards(generator, np.zeros((len(cortex), 3)), 1.0)
    field = shells(CORTEX * cortex, BACKGROUND * moments, electrodes)
    x = field @ _noise(generator, len(cortex), np.where(at >= 0.5, 1 / np.maximum(at, 0.5), 0))

    hertz = 9 + 2 * generator.number()
    names = np.stack([place("Oz"), place("C3"), place("C4")])
    where = _towards(generator, names, 0.1)
    field = shells(CORTEX * where, _towards(generator, where, 0.5) * np.array([[BACK], [HAND], [HAND]]), electrodes)
    beat = _rhythm(generator, at, 3, hertz)
    count = SECONDS // TRIAL
    right = generator.permutation(count).numpy() % 2 == 1
    fall = WEAKER[0] + (WEAKER[1] - WEAKER[0]) * generator.number()
    trial = np.minimum((time / TRIAL).astype(int), count - 1)
    beat[1:] *= 1 - fall * np.stack([right[trial], ~right[trial]])  # of the side across from the hand
    x += field @ beat

    eyes = np.array([[-0.3, 0.78, -0.25], [0.3, 0.78, -0.25]])
    x += one_sphere(eyes, np.tile([[0.0, EYES, EYES / 2]], (2, 1)), electrodes).sum(1, keepdims=True) * _bumps(
        generator, time, BLINKS, (BLINK, 1.3 * BLINK))
    sides = np.array([[-0.9, 0.35, 0.05], [0.9, 0.35, 0.05], [-0.5, -0.8, -0.25], [0.5, -0.8, -0.25]])
    field = one_sphere(0.93 * _towards(generator, sides, 0.05), MUSCLE * _towards(generator, np.zeros((4, 3)), 1.0), electrodes)
    bursts = np.stack([_bumps(generator, time, BURSTS, (0.5, 2.0)) for _ in sides])
    x += field @ (bursts * _noise(generator, 4, _band(at, 20, 60)))
    x += SENSOR * generator.normal(*x.shape).numpy()
    x = x[:len(ALL)] - x[len(ALL):].mean(0)
    return x.astype(np.float32), tuple((TRIAL * i, TRIAL, "right" if r else "left") for i, r in enumerate(right.tolist()))


def recording(seed: int, number: int, cap: str) -> Series:
    """A person's recording with a cap, its trials as annotations."""
    names = CAPS[cap]

    def read(start: int, stop: int) -> np.ndarray:
        return person(seed, number)[0][[ALL.index(name) for name in names], start:stop]

    trials = made(person(seed, number)[1], SECONDS, "it")
    return Series(read, RATE * SECONDS, list(names), float(RATE), ["uV"] * len(names), places(names), annotations=trials)


def records(seed: int, people: Sequence[tuple[int, str]], test: Sequence[bool] | None = None) -> Records:
    """Recordings of some people.

    Args:
        seed: another one has other people.
        people: number of each, and the cap worn.
        test: who is held out.
    """
    return Records([f"simulated person {number}, {cap} electrodes" for number, cap in people], lambda i: recording(seed, *people[i]),
                   groups=np.array([f"person {number:03d}" for number, _ in people]), test=None if test is None else np.array(test),
                   notes=["simulated: computed from dipoles in a spherical head; no person was recorded"])


def builtin(folder: Path | None = None, options: Options | None = None) -> Records:
    """The built-in set: people of seed 0 with the caps in turn, the last third held out."""
    caps = list(CAPS)
    return records(0, [(i, caps[i % len(caps)]) for i in range(LEARN + TEST)], [i >= LEARN for i in range(LEARN + TEST)])
