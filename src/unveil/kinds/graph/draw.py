"""Drawings of graphs: a spread-out plane layout, what a view took away faint, what merges on coarser levels on common ground."""

from __future__ import annotations

import numpy as np

from unveil.contracts import Batch

MOST = 60  # nodes that are drawn
SWEEPS = 60
WIDTH, HEIGHT, EDGE = 160, 120, 9
COLOURS = 8


def drawing(sample: Batch) -> str:
    """SVG of one packed sample; of a larger one the nodes nearest to that of most neighbours."""
    graph, whole = sample.graph, len(sample.values)
    edges = graph.edges.cpu().numpy()
    valid = np.ones(whole, bool) if sample.valid is None else sample.valid.cpu().numpy()
    left = np.ones(edges.shape[1], bool) if graph.edge_valid is None else graph.edge_valid.cpu().numpy()
    steps = distances(whole, edges, MOST)
    shown = np.flatnonzero(np.isfinite(steps).any(0)) if len(steps) < whole else np.arange(whole)
    number = np.full(whole, -1)
    number[shown] = np.arange(len(shown))
    inside = (number[edges] >= 0).all(0)
    pairs, left = number[edges[:, inside]], left[inside]
    place = layout(distances(len(shown), pairs, len(shown)))
    bond = np.sqrt(np.square(place[pairs[0]] - place[pairs[1]]).sum(-1)).mean() if pairs.size else 16.0
    radius = float(np.clip(0.27 * bond, 1.8, min(5.0, 26 / max(len(shown), 1) ** 0.5)))
    colour = _colours(sample.values.cpu().numpy())[shown]
    ground = [_ground(place, pairs, group[shown], level, radius) for level, group in enumerate(_groups(graph))]
    ways = pairs[0] < pairs[1]
    lines = [_lines(place, pairs[:, ways & keep], f"bond{' gone' * gone}") for keep, gone in ((~left, True), (left, False))]
    dots = "".join(f'<circle class="node n{c}{"" if there else " gone"}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'
                   for (x, y), c, there in zip(place, colour, valid[shown], strict=True))
    words = "" if len(shown) == whole else f'<text class="told" x="2" y="{HEIGHT - 3}">{len(shown)} of {whole} nodes</text>'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" class="sample graph">{"".join(reversed(ground))}{"".join(lines)}{dots}{words}</svg>'


def distances(count: int, edges: np.ndarray, most: int) -> np.ndarray:
    """Edges between nodes on the shortest way, ``(rows, count)``, inf where there is none.

    All rows where ``count`` is at most ``most``; else one row, from the node of most neighbours, inf beyond the nearest ``most``.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import breadth_first_order, shortest_path
    links = csr_matrix((np.ones(edges.shape[1]), edges), shape=(count, count))
    if count <= most:
        return shortest_path(links, directed=False, unweighted=True)
    order = breadth_first_order(links, int(np.bincount(edges[0], minlength=count).argmax()), directed=False, return_predecessors=False)
    found = np.full((1, count), np.inf)
    found[0, order[:most]] = np.arange(min(most, len(order)))
    return found


def layout(steps: np.ndarray) -> np.ndarray:
    """Places ``(n, 2)`` in the picture whose distances follow ``steps (n, n)``: stress majorisation (Gansner et al. 2004), begun at the
    leading axes of the doubly centred squares. Nodes that do not hang together stand about as far apart as the ends of a long way."""
    count = len(steps)
    if count < 2:
        return np.full((count, 2), (WIDTH / 2, HEIGHT / 2))
    wanted = np.where(np.isfinite(steps), steps, np.sqrt(count) + 1)
    centre = np.eye(count) - 1 / count
    value, axes = np.linalg.eigh(-centre @ wanted**2 @ centre / 2)
    axes = axes[:, -2:][:, ::-1] * np.sqrt(value[-2:][::-1].clip(1e-3))
    place = axes * np.sign(axes[np.abs(axes).argmax(0), [0, 1]]) + 1e-3 * np.stack([np.arange(count) % 7, np.arange(count) % 5], 1)
    weight = np.where(np.eye(count) > 0, 0.0, 1 / np.maximum(wanted, 1) ** 2)
    inverse = np.linalg.pinv(np.diag(weight.sum(1)) - weight)
    for _ in range(SWEEPS):
        apart = np.sqrt(np.square(place[:, None] - place[None]).sum(-1))
        pull = weight * wanted / np.maximum(apart, 1e-6)
        place = inverse @ (np.diag(pull.sum(1)) - pull) @ place
    place = place - (place.min(0) + place.max(0)) / 2
    room = np.array([WIDTH / 2 - EDGE, HEIGHT / 2 - EDGE])
    if np.ptp(place[:, 1]) > np.ptp(place[:, 0]):
        place = place[:, ::-1]
    return place * min(16.0, float((room / np.maximum(np.abs(place).max(0), 1e-6)).min())) + np.array([WIDTH, HEIGHT]) / 2


def _colours(values: np.ndarray) -> np.ndarray:
    """Of each node the number of its greatest feature."""
    return values.argmax(1) % COLOURS if values.shape[1] > 1 else np.zeros(len(values), int)


def _groups(graph) -> list[np.ndarray]:
    """Of each coarser level the group of each node."""
    found, group, level = [], np.arange(len(graph.sample)), graph
    while level.coarser is not None:
        group = level.parent.cpu().numpy()[group]
        found.append(group)
        level = level.coarser
    return found


def _ground(place: np.ndarray, pairs: np.ndarray, group: np.ndarray, level: int, radius: float) -> str:
    """Broad soft lines between the nodes of each group, the broader and softer the coarser the level."""
    among = pairs[:, (group[pairs[0]] == group[pairs[1]]) & (pairs[0] < pairs[1])]
    return _lines(place, among, f"ground{' far' * (level > 0)}", f' stroke-width="{radius * (3.4 + 1.8 * level):.1f}"')


def _lines(place: np.ndarray, pairs: np.ndarray, kind: str, more: str = "") -> str:
    """One path over all pairs of places."""
    if not pairs.shape[1]:
        return ""
    d = "".join(f"M{place[a][0]:.1f} {place[a][1]:.1f}L{place[b][0]:.1f} {place[b][1]:.1f}" for a, b in pairs.T)
    return f'<path class="{kind}" d="{d}"{more}/>'
