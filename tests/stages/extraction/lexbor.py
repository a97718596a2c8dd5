"""The tree of a real parser (lexbor, by way of resiliparse) in the scanner's terms, to hold the scanner against.

A tree is a list of (hash of the tag's name, number of the parent in the list from 1; 0: the page). Elements that the scanner passes over are
passed over here: <html>, <tbody> and the like, void elements, raw text, and what lies below an element whose content is not shown.
"""

import numpy as np
from resiliparse.parse.html import HTMLTree, NodeType

from stages.extraction.arrays import UNSHOWN
from stages.extraction.elements import FLAGS, NUMBER, RAW, TRANSPARENT, VOID
from stages.extraction.elements import UNSHOWN as UNSHOWN_TAG
from stages.extraction.lookup import hash_of
from stages.extraction.scanner import Scanned, scan

Tree = list[tuple[int, int]]
# Elements that the standard closes and opens again around blocks (13.2.6.4.7, "the adoption agency"); the scanner leaves them where they are.
FORMATTING = [
    int(hash_of(name))
    for name in ("a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u")
]


def scanned(page: str) -> Scanned:
    return scan(np.frombuffer(page.encode(), np.uint8))


def real_tree(page: str) -> Tree:
    tree: Tree = []
    document = HTMLTree.parse(page)
    waiting = [(document.document.first_child, 0)]
    while waiting:
        node, parent = waiting.pop()
        if node is None:
            continue
        waiting.append((node.next, parent))
        if node.type == NodeType.ELEMENT:
            flags = FLAGS[NUMBER.get(node.tag, 0)]
            if not flags & (TRANSPARENT | VOID | RAW):
                tree.append((int(hash_of(node.tag)), parent))
                parent = len(tree)
            if not flags & (RAW | UNSHOWN_TAG):
                waiting.append((node.first_child, parent))
    return tree


def tree_of(page: Scanned) -> Tree:
    elements = page.elements
    place = {0: 0}
    tree: Tree = []
    for e in range(1, len(elements)):
        parent = int(elements[e]["parent"])
        if elements[parent]["hidden"] != UNSHOWN:
            tree.append((int(elements[e]["name"]), place[parent]))
            place[e] = len(tree)
    return tree


def serialised(page: str) -> str:
    return str(HTMLTree.parse(page).document.html)


def texts(page: Scanned) -> list[str]:
    text = page.text.tobytes()
    return [text[block["start"] : block["end"]].decode() for block in page.blocks]


def holders(page: Scanned, without: list[int]) -> list[tuple[int, int, int, int]]:
    """(name, parent, first, end) of each element that holds text, but for those whose names are in `without`."""
    found: list[tuple[int, int, int, int]] = []
    place = {0: 0}
    for e in range(1, len(page.elements)):
        name, parent, first, end = (int(page.elements[e][field]) for field in ("name", "parent", "first", "end"))
        place[e] = place[parent]
        if first < end and name not in without:
            found.append((name, place[parent], first, end))
            place[e] = len(found)
    return found
