"""Broken networks."""

from __future__ import annotations

import json
from random import Random

from broken.damage import damaged
from broken.words import CELLS, TEXT, deep, odd_json


def edges(rng: Random) -> bytes:
    weight = rng.choice(("", " 0.5"))
    return "".join(f"{rng.randrange(6)} {rng.randrange(6)}{weight}\n" for _ in range(8)).encode()


def node_link(rng: Random) -> bytes:
    nodes = [{"id": i, "x": rng.gauss(0, 1), "sort": rng.choice("ab")} for i in range(5)]
    links = [{"source": i, "target": i + 1, "weight": 1.0} for i in range(4)]
    return json.dumps({"directed": False, "graph": {"y": "p"}, "nodes": nodes, "links": links}).encode()


def gml(rng: Random) -> bytes:
    node = '  node [\n    id {0}\n    label "n{0}"\n    x {1:.3f}\n    sort "{2}"\n  ]\n'
    nodes = "".join(node.format(i, rng.gauss(0, 1), "ab"[i % 2]) for i in range(5))
    links = "".join(f"  edge [\n    source {i}\n    target {i + 1}\n    weight 1.0\n  ]\n" for i in range(4))
    return f'graph [\n  y "p"\n{nodes}{links}]\n'.encode()


def graphml(rng: Random) -> bytes:
    nodes = "".join(f'<node id="n{i}"><data key="x">{rng.gauss(0, 1):.3f}</data></node>\n' for i in range(5))
    links = "".join(f'<edge source="n{i}" target="n{i + 1}"/>\n' for i in range(4))
    return ('<?xml version="1.0" encoding="utf-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
            '<key id="x" for="node" attr.name="x" attr.type="double"/>\n'
            f'<graph edgedefault="undirected">\n{nodes}{links}</graph></graphml>').encode()


def odd_xml(content: bytes, rng: Random) -> bytes:
    """Types and entities that no graph needs."""
    old, new = rng.choice(((b"<graphml", b'<!DOCTYPE a [<!ENTITY b "cccc"><!ENTITY d "&b;&b;">]><graphml'), (b'"double"', b'"int"'),
                           (b'"double"', b'"boolean"'), (b'"double"', b'"os.system"'), (b"<node", b"<node><node"), (b"n1", b"&a;"),
                           (b"<edge", b"<hyperedge"), (b'"undirected"', b'"' + b"x" * 5000 + b'"'), (b"<node", b"<x>" * 3000)))
    return content.replace(old, new)


def odd_list(content: bytes, rng: Random) -> bytes:
    """Words instead of names and weights."""
    words = [rng.choice((*CELLS, "{}", "{'weight': 1}", "1 2 3 4", "[" * 300)) for _ in range(3)]
    return content + "\n".join(words).encode("utf-8", "replace")


def odd_gml(content: bytes, rng: Random) -> bytes:
    return content.replace(*rng.choice(((b"node [", b"node [" * 300), (b"id 1", b"id 0"), (b"source 0", b"source 77"), (b'"', b""),
                                        (b"x ", b"x [ y 1 ] "), (b"]", b""), (b"graph", b"graph [ graph"), (b"id 2", b"id " + b"9" * 400))))


def broken(rng: Random) -> tuple[str, dict[str, bytes], dict]:
    """What was done, one file or two, what the user says."""
    name, make, ways = rng.choice((("a.edges", edges, (odd_list, odd_list)), ("a.json", node_link, ()), ("a.gml", gml, (odd_gml, odd_gml)),
                                   ("a.graphml", graphml, (odd_xml, odd_xml))))
    if name == "a.json" and rng.random() < 0.4:
        held = json.loads(node_link(rng))
        part = rng.choice(("nodes", "links"))
        held[part][rng.randrange(len(held[part]))] = {"at": "!"}
        odd = rng.choice((odd_json({"id": 1, "x": 2.0}, rng), deep(rng)))
        how, content = "odd json", json.dumps(held).replace('{"at": "!"}', odd).encode("utf-8", "replace")
    else:
        how, content = damaged(make(rng), rng, [make(rng)], (*ways, *TEXT))
    files = {name: content}
    if rng.random() < 0.3:
        files[rng.choice(("b", "in/b")) + name[1:]] = make(rng)
    return how, files, rng.choice(({}, {}, {"labels": "y"}, {"labels": "folders"}, {"groups": "files"}))
