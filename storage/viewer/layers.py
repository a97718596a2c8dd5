"""A layered drawing of a graph whose edges all lead down. In: nodes and their parents. Out: a place for each node, a line for each edge.

After Sugiyama, Tagawa and Toda 1981, in its simplest form: layers by longest path, order by the mean of the neighbours, places by least
squares. Edges that pass layers share one lane per target, so that a node made from twelve others costs one lane, not twelve. A node
stands straight below the parent with the longest history, so that the main line of a pipeline is one line.
"""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BOX = (196, 62)  # width and height of a node
GAP = (24, 40)  # between nodes of a layer, and between layers
LANE = 14  # width of a lane
SWEEPS = 12

Point = tuple[float, float]
Spot = tuple[str, int]
"""A node, or a lane towards that node, in a layer."""


@dataclass(frozen=True)
class Drawing:
    width: float
    height: float
    places: dict[str, Point]
    """Upper left corner of each node."""
    lines: list[tuple[str, str, str]]
    """(parent, node, path data)."""


def draw(parents: Mapping[str, Sequence[str]]) -> Drawing:
    """`parents` holds every node, parents before what is made from them."""
    layer = layers(parents)
    chains = {
        (parent, node): [(node, at) for at in range(layer[parent] + 1, layer[node])]
        for node in parents
        for parent in parents[node]
    }
    spots: list[dict[Spot, None]] = [{} for _ in range(max(layer.values(), default=0) + 1)]
    above: dict[Spot, set[Spot]] = defaultdict(set)
    below: dict[Spot, set[Spot]] = defaultdict(set)
    for node in parents:
        spots[layer[node]][node, layer[node]] = None
    for (parent, node), chain in chains.items():
        way = [(parent, layer[parent]), *chain, (node, layer[node])]
        for upper, lower in itertools.pairwise(way):
            above[lower].add(upper)
            below[upper].add(lower)
        for spot in chain:
            spots[spot[1]][spot] = None
    rows = [list(one) for one in spots]
    size = {spot: BOX[0] if layer[spot[0]] == spot[1] else LANE for row in rows for spot in row}
    centre = _centres(rows, size, above, below, _kin(parents, layer, rows))
    left = min((centre[spot] - size[spot] / 2 for spot in centre), default=0.0)
    width = max((centre[spot] + size[spot] / 2 for spot in centre), default=0.0) - left
    # The main line on the left, where a narrow screen begins.
    mirrored = any(centre[spot] - left > width / 2 for spot in rows[-1][:1])
    centre = {spot: round(left + width - x if mirrored else x - left, 1) for spot, x in centre.items()}
    step = BOX[1] + GAP[1]
    lines = []
    for (parent, node), chain in chains.items():
        points = [(centre[parent, layer[parent]], float(layer[parent] * step + BOX[1]))]
        for spot in chain:
            points += [(centre[spot], float(spot[1] * step)), (centre[spot], float(spot[1] * step + BOX[1]))]
        lines.append((parent, node, _path([*points, (centre[node, layer[node]], layer[node] * step)])))
    places = {node: (centre[node, layer[node]] - BOX[0] / 2, float(layer[node] * step)) for node in parents}
    return Drawing(width, len(rows) * step - GAP[1], places, lines)


def layers(parents: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Below all parents, and what has none just above the first that is made from it."""
    layer: dict[str, int] = {}
    for node in parents:
        layer[node] = max((layer[parent] + 1 for parent in parents[node]), default=0)
    children: dict[str, list[int]] = defaultdict(list)
    for node in parents:
        for parent in parents[node]:
            children[parent].append(layer[node])
    return {node: min(children[node]) - 1 if not parents[node] and children[node] else at for node, at in layer.items()}


def _kin(parents: Mapping[str, Sequence[str]], layer: Mapping[str, int], rows: list[list[Spot]]) -> dict[Spot, list[Spot]]:
    """The spots straight above and below which each wants to stand: along a lane, and along the main line from parent to child."""
    history: dict[str, set[str]] = {}
    for node in parents:
        history[node] = {node}.union(*(history[parent] for parent in parents[node]))
    kin: dict[Spot, list[Spot]] = {spot: [] for row in rows for spot in row}
    taken: set[str] = set()
    for node in reversed(list(parents)):
        near = [parent for parent in parents[node] if layer[parent] == layer[node] - 1 and parent not in taken]
        if near:
            main = max(near, key=lambda parent: len(history[parent]))
            taken.add(main)
            kin[node, layer[node]].append((main, layer[main]))
            kin[main, layer[main]].append((node, layer[node]))
    for node, at in kin:
        if at < layer[node] - 1 and (node, at + 1) in kin:
            kin[node, at].append((node, at + 1))
            kin[node, at + 1].append((node, at))
    return kin


def _centres(
    rows: list[list[Spot]],
    size: Mapping[Spot, float],
    above: Mapping[Spot, set[Spot]],
    below: Mapping[Spot, set[Spot]],
    kin: Mapping[Spot, list[Spot]],
) -> dict[Spot, float]:
    centre: dict[Spot, float] = {}
    weight = {spot: 0.001 if size[spot] == LANE else 1000.0 ** len(kin[spot]) for spot in size}
    for row in rows:
        _put(row, [0.0] * len(row), size, weight, centre)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            one, other = (above, below) if down else (below, above)
            beside = {spot: one.get(spot) or other.get(spot) or {spot} for spot in row}
            if sweep < SWEEPS // 2:  # the order settles first, the places after it
                means = {spot: _mean([centre[near] for near in beside[spot]]) for spot in row}
                row.sort(key=lambda spot: (means[spot], size[spot] == LANE))
            wanted = [
                _mean([centre[near] for near in _towards(kin[spot], spot, down) or one.get(spot) or kin[spot] or beside[spot]])
                for spot in row
            ]
            _put(row, wanted, size, weight, centre)
    return centre


def _towards(kin: Sequence[Spot], spot: Spot, down: bool) -> list[Spot]:
    """Those on the side that the sweep comes from."""
    return [one for one in kin if (one[1] < spot[1]) == down]


def _put(
    row: list[Spot], wanted: list[float], size: Mapping[Spot, float], weight: Mapping[Spot, float], centre: dict[Spot, float]
) -> None:
    """Each as near to where it is wanted as the distances allow: pool adjacent violators, weighted least squares."""
    offsets = [0.0]
    for one, other in itertools.pairwise(row):
        offsets.append(offsets[-1] + (size[one] + size[other]) / 2 + GAP[0])
    blocks: list[tuple[float, float, int]] = []  # (weighted sum of wanted minus offset, weight, spots)
    for spot, want, offset in zip(row, wanted, offsets, strict=True):
        blocks.append(((want - offset) * weight[spot], weight[spot], 1))
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            (total, heavy, spots), (more, heavier, others) = blocks[-2:]
            blocks[-2:] = [(total + more, heavy + heavier, spots + others)]
    starts = [total / heavy for total, heavy, spots in blocks for _ in range(spots)]
    centre.update({spot: start + offset for spot, start, offset in zip(row, starts, offsets, strict=True)})


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _path(points: Sequence[Point]) -> str:
    """Straight along lanes, and S curves between layers."""
    text = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x1, y1), (x2, y2) in itertools.pairwise(points):
        middle = (y1 + y2) / 2
        text += f"V{y2:.1f}" if x1 == x2 else f"C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}"
    return text
