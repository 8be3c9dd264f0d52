"""Molecules as graphs and as atoms: what of SMILES, tables and SDF becomes a sample, a label, a group, a fault."""

import gzip

import numpy as np
import pytest
import torch

pytest.importorskip("rdkit")

from unveil.api.opening import open_data
from unveil.data import builtin, molecule_sets, molecules
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.readers import molecules as reader
from unveil.data.records import Unreadable
from unveil.errors import Unusable

WATER = """water
  made here           {dim}

  3  2  0  0  0  0            999 V2000
    0.0000    0.0000    {z}000 O   0  0
    0.9572    0.0000    0.0000 H   0  0
   -0.2400    0.9266    0.0000 H   0  0
  1  2  1  0
  1  3  1  0
M  END
> <gap>
{gap}

> <class>
wet

$$$$
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path / "cache"))


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def opened(path, **options):
    return open_records(path, Options(**options))


def reason(records, i):
    with pytest.raises(Unreadable) as why:
        records.load(i)
    return str(why.value)


def features(graph, row):
    return {name for name, value in zip(molecules.ATOM_FEATURES, graph.values[row]) if value}


def test_smiles_by_line(tmp_path):
    file = write(tmp_path / "a.smi", "smiles name\nCC=O ethanal\nc1ccccc1\ttoluene\n\nN(C)(C)(C)(C)C\nxx\n[Na+].[Cl-]\n\n\n")
    kind, records = opened(file)
    assert kind == "graph" and records.layout == "graph" and records.targets is None and records.labels is None
    assert records.names == [f"{file} line {number}" for number in range(2, 8)]
    ethanal = records.load(0)
    assert features(ethanal, 0) == {"element C", "1 neighbours", "no charge", "3 hydrogens", "sp3"}
    assert features(ethanal, 2) == {"element O", "1 neighbours", "no charge", "0 hydrogens", "sp2"}
    np.testing.assert_array_equal(ethanal.edges, [[0, 1, 1, 2], [1, 0, 2, 1]])
    np.testing.assert_array_equal(ethanal.edge_values[:, 1], [0, 0, 1, 1])
    ring = records.load(1)
    assert {"aromatic", "in a ring", "1 hydrogens"} <= features(ring, 0) and ring.edge_values[:, [3, 5, 6]].all()
    assert reason(records, 2) == "is empty: there is no SMILES"
    assert reason(records, 3) == "'N(C)(C)(C)(C)C' is no molecule: Explicit valence for atom # 0 N, 5, is greater than permitted"
    assert reason(records, 4) == "'xx' is nothing that RDKit can read as a molecule"
    salt = records.load(5)
    assert salt.edges.shape == (2, 0) and salt.edge_values.shape == (0, 7) and {"another element", "charge +1"} <= features(salt, 0)


def test_the_kinds_open_them_ions_too(tmp_path):
    file = write(tmp_path / "a.smi", "CC=O\n[Na+]\nxx\nc1ccccc1\n")
    for kind, sizes in (("graph", [3, 1, 6]), ("atoms", [7, 1, 12])):
        _, samples = open_data(file, options=Options(kind=kind))
        assert samples.fetch.sizes.tolist() == sizes and list(samples.faults) == [f"{file} line 3"]
        assert samples.batch(torch.arange(3)).values.shape == (sum(sizes), {"graph": 36, "atoms": 1}[kind])


def test_every_atom_has_one_of_each_feature():
    graph = molecules.graph(molecules.of_smiles("C[C@H](N)C(=O)[O-].[Fe+3].BrC#CS(=O)(=O)c1ccccc1[Si](C)(C)C*"))
    for start, stop in ((0, 13), (13, 20), (20, 24), (24, 29), (29, 34)):
        np.testing.assert_array_equal(graph.values[:, start:stop].sum(1), 1)
    assert graph.values.shape[1] == len(molecules.ATOM_FEATURES) == 36 and (graph.edge_values[:, :5].sum(1) == 1).all()
    assert graph.edge_values.shape[1] == len(molecules.BOND_FEATURES)


def test_the_order_of_atoms_changes_rows_and_nothing_else():
    one, other = (molecules.graph(molecules.of_smiles(smiles)) for smiles in ("C[C@H](N)C(=O)O", "OC([C@H](C)N)=O"))
    np.testing.assert_array_equal(np.array(sorted(map(tuple, other.values))), sorted(map(tuple, one.values)))
    pairs = lambda graph: sorted(tuple(np.concatenate([graph.values[a], graph.values[b], v])) for a, b, v in
                                 zip(*graph.edges, graph.edge_values))
    assert pairs(one) == pairs(other)


def test_groups_are_scaffolds(tmp_path):
    file = write(tmp_path / "a.smi", "Cc1ccccc1\nc1ccccc1O\nCCO\nCCCO\nxx\nCCO\nC[C@H](N)C1CC1\nC[C@@H](N)C1CC1\n")
    records = opened(file)[1]
    assert list(records.groups) == ["c1ccccc1", "c1ccccc1", "CCO", "CCCO", "", "CCO", "C1CC1", "C1CC1"]
    assert records.notes == ["groups are 4 Bemis-Murcko scaffolds; a molecule without rings is a group of its own"]


def test_no_scaffolds_are_made_where_groups_are_bins_of_degree(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "scaffolds", None)
    kind, records = opened(write(tmp_path / "a.smi", "CC\nCCC\n"), groups="degree")
    assert kind == "graph" and records.groups is None and not records.notes
    with pytest.raises(Unusable, match="has no column 'degree'"):
        opened(tmp_path / "a.smi", groups="degree", kind="atoms")


def test_scaffolds_of_very_many_are_made_where_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "MOST_SCAFFOLDS", 1)
    file = write(tmp_path / "a.smi", "CC\nCCC\n")
    assert opened(file)[1].groups is None and "--groups scaffold" in opened(file)[1].notes[0]
    assert list(opened(file, groups="scaffold")[1].groups) == ["CC", "CCC"]


def test_a_table_with_labels_targets_and_groups(tmp_path):
    file = write(tmp_path / "a.csv", "id,SMILES,expt,class,batch\n1,CCO,-1.5,x,p\n2,c1ccccc1,,y,p\n3,xx,2.5,x,q\n")
    kind, records = opened(file, targets="expt", groups="batch")
    assert kind == "graph" and list(records.labels) == ["x", "y", "x"] and list(records.groups) == ["p", "p", "q"]
    np.testing.assert_array_equal(records.targets, [-1.5, np.nan, 2.5])
    assert records.names[2] == f"{file} line 4" and len(records.load(1)) == 6
    with pytest.raises(Unusable, match=r"has no column 'expd'; did you mean 'expt'"):
        opened(file, targets="expd")
    with pytest.raises(Unusable, match=r"a\.csv line 2: class is 'x', which is no finite number"):
        opened(file, targets="class")


def test_a_table_without_smiles_is_none_of_molecules(tmp_path):
    assert opened(write(tmp_path / "a.csv", "time,x\n0,1\n1,2\n"))[0] == "signal"


def test_pcqm4mv2_as_it_comes(tmp_path):
    folder = tmp_path / "pcqm4m-v2"
    (folder / "raw").mkdir(parents=True)
    (folder / "raw" / "data.csv.gz").write_bytes(gzip.compress(b"idx,smiles,homolumogap\n0,O=C1[N]c2ccccc2C1=O,3.0476675\n1,CCO,\n"))
    write(folder / "RELEASE_v1.txt", "")
    kind, records = opened(folder, targets="homolumogap")
    assert kind == "graph" and records.targets[0] == pytest.approx(3.0476675) and np.isnan(records.targets[1])
    assert len(records.load(0)) == 11 and records.names[1].endswith("data.csv.gz line 3")


@pytest.mark.parametrize("content, words", [
    (gzip.compress(b"smiles,y\nCC,1\n")[:-9], "is no gzip file, or one that is damaged or cut short"),
    (b"smiles\nCC\n", "is no gzip file")])
def test_gzip_that_is_damaged(tmp_path, content, words):
    (tmp_path / "a.csv.gz").write_bytes(content)
    with pytest.raises(Unusable, match=f"none of the 1 CSV files in .* can be used; .*: {words}"):
        opened(tmp_path / "a.csv.gz")
    write(tmp_path / "b.csv", "smiles\nCC\n")
    records = reader.read(tmp_path, Options(kind="graph"))
    assert words in reason(records, 0) and len(records.load(1)) == 2


def test_a_gzip_bomb_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("unveil.data.columns.memory_limit", lambda: 8 << 20)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"smiles,y\n" + b"CC,1\n" * 1_000_000))
    write(tmp_path / "b.csv", "smiles\nCC\n")
    assert "unpacks to more than 0.0 GiB, an eighth of what this process may use" in reason(reader.read(tmp_path, Options()), 0)


def test_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow
    parquet.write_table(pyarrow.table({"smiles": ["CCO", None], "y": [1.5, None]}), tmp_path / "a.parquet")
    kind, records = opened(tmp_path / "a.parquet", targets="y")
    assert kind == "graph" and records.targets[0] == 1.5 and records.names[1].endswith("a.parquet row 2")
    assert reason(records, 1) == "is empty: there is no SMILES"
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + bytes(40) + b"PAR1")
    with pytest.raises(Unusable, match=r"none of the 1 Parquet files in .* can be used; .*: is no Parquet file"):
        opened(tmp_path / "a.parquet")


def sdf(*gaps, dim="3D", z="0.1"):
    return "".join(WATER.format(dim=dim, z=z, gap=gap) for gap in gaps)


def test_an_sdf_in_space_can_be_two_kinds(tmp_path):
    file = write(tmp_path / "a.sdf", sdf(0.25, 0.5))
    with pytest.raises(Unusable, match=r"that can be several kinds\. Say which:\n  --kind graph\n  --kind atoms"):
        opened(file)
    graphs = opened(file, kind="graph", targets="gap")[1]
    assert list(graphs.targets) == [0.25, 0.5] and list(graphs.labels) == ["wet", "wet"] and graphs.names[1] == f"{file} line 18"
    assert features(graphs.load(0), 0) == {"element O", "0 neighbours", "no charge", "2 hydrogens", "sp3"}
    atoms = opened(file, kind="atoms")[1]
    assert atoms.layout == "atoms" and atoms.load(0).edges is None and atoms.load(0).values.tolist() == [[8], [1], [1]]
    np.testing.assert_allclose(atoms.load(0).where, [[0, 0, 0.1], [0.9572, 0, 0], [-0.24, 0.9266, 0]], atol=1e-6)


def test_a_flat_sdf_is_a_graph_and_gets_conformers_as_atoms(tmp_path):
    file = write(tmp_path / "a.sdf", sdf(1, dim="2D", z="0.0"))
    assert opened(file)[0] == "graph"
    atoms = opened(file, kind="atoms")[1].load(0)
    gap = np.linalg.norm(atoms.where[1:] - atoms.where[0], axis=1)
    assert atoms.values.tolist() == [[8], [1], [1]] and (gap > 0.9).all() and (gap < 1.1).all()


def test_conformers_are_the_same_every_time_and_kept(tmp_path, monkeypatch):
    file = write(tmp_path / "a.smi", "CCO\nCC(C)Cc1ccc(cc1)C(C)C(=O)O\n*CC\nC123C45C1C2C345\n")
    first = [opened(file, kind="atoms")[1].load(i) for i in range(2)]
    assert [len(held) for held in first] == [9, 33]
    monkeypatch.setattr(molecules, "embedded", lambda molecule: pytest.fail("made again"))
    for i in range(2):
        np.testing.assert_array_equal(opened(file, kind="atoms")[1].load(i).where, first[i].where)
    monkeypatch.undo()
    monkeypatch.setenv("UNVEIL_CACHE", "/proc/nowhere")
    np.testing.assert_array_equal(opened(file, kind="atoms")[1].load(1).where, first[1].where)
    assert reason(opened(file, kind="atoms")[1], 2) == "atom 1 is of no element"


def test_qm9_as_it_comes(tmp_path):
    """Places in an SDF, numbers in a table beside it with the titles of the records, in another order."""
    write(tmp_path / "gdb9.sdf", sdf("", "").replace("water", "gdb_2", 1).replace("water", "gdb_1", 1))
    write(tmp_path / "gdb9.sdf.csv", "mol_id,A,mu,homo\ngdb_1,1,0.5,-0.25\ngdb_2,2,1.5,-0.5\n")
    for path in (tmp_path, tmp_path / "gdb9.sdf"):
        kind, records = opened(path, kind="atoms", targets="homo")
        assert kind == "atoms" and len(records) == 2 and list(records.targets) == [-0.5, -0.25]
    write(tmp_path / "gdb9.sdf.csv", "name,homo\nx,1\n")
    with pytest.raises(Unusable, match=r"has 2 records, gdb9\.sdf\.csv beside it has 1 rows, and no title is in its column 'name'"):
        opened(tmp_path, kind="atoms", targets="homo")


def test_an_sdf_that_changes_or_is_cut_short(tmp_path):
    file = write(tmp_path / "a.sdf", sdf(1, 2)[:-180])
    records = opened(file, kind="atoms")[1]
    assert len(records.load(0)) == 3 and "RDKit can" in reason(records, 1)
    write(file, sdf(1))
    assert reason(records, 0) == "its file was replaced while it was in use"
    for content, words in (("", "is empty"), ("\n\n", "has no records"), ("$$$$\n" * 3, "has no records")):
        write(file, content)
        with pytest.raises(Unusable, match=f"none of the 1 files of molecules in .* can be used; .*: {words}"):
            opened(file, kind="graph")


def test_the_split_of_the_set_is_kept(tmp_path):
    for part, smiles in (("train", "CCO"), ("test", "CCN")):
        write(tmp_path / f"a_{part}.csv", f"smiles,y\n{smiles},1\n")
    records = opened(tmp_path, targets="y")[1]
    assert list(records.test) == [True, False] and records.groups is None
    assert records.notes == ["the source's own test part is kept: it may share scaffolds with the rest"]


def test_labels_of_folders(tmp_path):
    write(tmp_path / "bitter" / "a.smi", "CCO\nCCN\n")
    write(tmp_path / "sweet" / "b.smi", "CCC\n")
    records = opened(tmp_path, labels="folders")[1]
    assert list(records.labels) == ["bitter", "bitter", "sweet"]
    with pytest.raises(Unusable, match="has no sub-folders to take labels from"):
        opened(tmp_path / "sweet", labels="folders")


def test_sizes_are_bounded(tmp_path):
    file = write(tmp_path / "a.smi", "C" * 10_001 + "\n" + "C" * 2001 + "\n" + "(" * 9000 + "\n" + "C1" * 4000 + "\nCC\n")
    records = opened(file)[1]
    assert reason(records, 0) == "is a SMILES of 10,001 characters, more than 10,000"
    assert reason(records, 1) == "has 2001 atoms, more than the 2000 of one molecule that are read"
    assert len(reason(records, 2)) < 200 and len(records.load(4)) == 2


def test_the_held_out_part_of_chemicals_is_of_whole_groups():
    """Whatever the groups are called, the same names are held out."""
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 400, 3000)
    names, known = [f"{i}-00-0" for i in range(3000)], rng.random(3000) < 0.5
    big = np.where(groups < 100, 0, groups)
    first = molecule_sets.held_out([f"g{g}" for g in big], names, known)
    again = molecule_sets.held_out([f"other {g * 7 % 401}" for g in big], names, known)
    np.testing.assert_array_equal(first, again)
    assert not set(big[first]) & set(big[~first]) and not first[big == 0].any()
    assert 0.2 <= first[known].mean() < 0.22 and first[~known].any()


def test_built_in_sets_know_their_own_columns():
    for name in ("chemicals", "solubility", "freesolv"):
        assert builtin.TABLE[name].others == ("atoms",)
    with pytest.raises(Unusable, match="the built-in set has no column 'gap' for --targets, but 'SOL'"):
        molecule_sets._own(Options(targets="gap"), targets="SOL")
    assert molecule_sets._own(Options(kind="atoms", targets="SOL"), targets="SOL").kind == "atoms"
