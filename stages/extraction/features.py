"""What the model is told of each block: float32[blocks, len(NAMES)].

The strongest signals, by the gain that the trees draw from them, are in containers.py: whether a block lies in the element that holds
most of the page's good text. What stands here is the block itself, its neighbours, what its ancestors are called, and the page.

Shallow text features: Kohlschuetter et al., "Boilerplate Detection using Shallow Text Features" (WSDM 2010). URLs are left out on purpose:
what they tell is how one source of training pages was gathered.
"""

from math import log

import numpy as np

from stages.extraction import containers
from stages.extraction.compiled import compiled
from stages.extraction.elements import HEADING_LEVEL, NUMBER
from stages.extraction.groups import AGAINST, BIT, GROUPS
from stages.extraction.scanner import Scanned
from stages.extraction.sums import CHARACTERS, GOOD, LINKED, STOP_WORDS, WORDS, prefix_sums

OWN = (
    "log_characters", "log_words", "link_density", "letters", "digits", "capitals", "punctuation", "commas", "stop_words", "ideographs",
    "word_length", "ends_sentence", "links", "bold", "breaks", "heading_level", "kind", "hidden", "depth", "place", "place_in_text", "index",
    "index_from_end", "title_words", "title_share", "description_words", "description_share", "other_script",
)  # fmt: skip
OFFSETS = (-3, -2, -1, 1, 2, 3)
AROUND = (
    *(f"{name}{offset:+}" for offset in OFFSETS for name in ("unlinked", "link_density")),
    "good_within_5", "link_density_within_5", "same_tag-1", "same_tag+1", "heading-1", "heading+1",
)  # fmt: skip
PURPOSE = (*(f"below_{group}" for group in GROUPS), "contents_above", "against_above")
PAGE = (
    "page_characters", "page_links", "page_blocks", "page_good", "page_in_p", "page_schema", "page_per_block", "page_headings",
    "page_in_li", "page_stop_words", "page_ideographs",
)  # fmt: skip
NAMES: tuple[str, ...] = OWN + AROUND + PURPOSE + PAGE + containers.NAMES

_AROUND = len(OWN)
_PURPOSE = _AROUND + len(AROUND)
_PAGE = _PURPOSE + len(PURPOSE)
_CONTAINERS = _PAGE + len(PAGE)
_GROUPS = len(GROUPS)
_CONTENT, _AGAINST = BIT["content"], AGAINST
_FAR, _NONE = 14, 20  # distances to an ancestor: the largest told apart, and no such ancestor

_P, _LI, _CELL, _DIV, _DD, _PRE, _CONTROL, _CAPTION = range(1, 9)
KIND = np.zeros(len(HEADING_LEVEL), np.uint8)
for _kind, _names in {
    _P: "p", _LI: "li", _CELL: "td th", _DIV: "div section article main center", _DD: "dt dd", _PRE: "pre blockquote",
    _CONTROL: "button summary label", _CAPTION: "figcaption caption",
}.items():  # fmt: skip
    for _name in _names.split():
        KIND[NUMBER[_name]] = _kind

_ENDS = np.array(sorted(map(ord, ".!?…。！？؟।;")), np.int64)
_HALF_ENDS = np.array(sorted(map(ord, ":\"')”»’」")), np.int64)


def features(scanned: Scanned) -> np.ndarray:
    """float32[blocks, len(NAMES)]; `scanned` is measured."""
    elements, blocks, text, marks, _ = scanned
    x = np.empty((len(blocks), len(NAMES)), np.float32)
    if len(blocks):
        sums = prefix_sums(elements, blocks)
        _own(elements, blocks, sums, x)
        _around(elements, blocks, sums, x)
        _purpose(elements, blocks, x)
        _page(elements, blocks, sums, bool(marks[-1, 1]), x)
        containers.fill(elements, blocks, text, sums, x, _CONTAINERS)
    return x


@compiled
def _own(elements, blocks, sums, x):  # type: ignore[no-untyped-def]
    n = blocks.shape[0]
    all_characters = max(1.0, sums[n, CHARACTERS])
    letters = foreign = 0
    for i in range(n):
        letters += blocks[i].letters
        foreign += blocks[i].foreign
    mostly_foreign = foreign / max(1, letters)
    for i in range(n):
        block = blocks[i]
        element = elements[block.element]
        characters = max(1, block.characters)
        words = max(1, block.words)
        row = x[i]
        row[0] = log(1.0 + block.characters + 2 * block.ideographs)
        row[1] = log(1.0 + block.words)
        row[2] = block.linked / characters
        row[3] = block.letters / characters
        row[4] = block.digits / characters
        row[5] = block.capitals / max(1, block.letters)
        row[6] = block.punctuation / characters
        row[7] = block.commas
        row[8] = block.stop_words / words
        row[9] = block.ideographs / characters
        row[10] = block.characters / words
        row[11] = 0
        for k in range(_ENDS.shape[0]):
            if _ENDS[k] == block.last:
                row[11] = 2
        for k in range(_HALF_ENDS.shape[0]):
            if _HALF_ENDS[k] == block.last:
                row[11] = 1
        row[12] = block.links
        row[13] = block.bold / characters
        row[14] = block.breaks
        row[15] = HEADING_LEVEL[element.tag]
        row[16] = KIND[element.tag]
        row[17] = element.hidden
        row[18] = element.depth
        row[19] = i / n
        row[20] = sums[i, CHARACTERS] / all_characters
        row[21] = min(i, 200)
        row[22] = min(n - 1 - i, 200)
        row[23] = block.title_words
        row[24] = block.title_words / words
        row[25] = block.description_words
        row[26] = block.description_words / words
        row[27] = abs(block.foreign / max(1, block.letters) - mostly_foreign)


@compiled
def _around(elements, blocks, sums, x):  # type: ignore[no-untyped-def]
    n = blocks.shape[0]
    for i in range(n):
        j = _AROUND
        for k in range(len(OFFSETS)):
            q = i + OFFSETS[k]
            if 0 <= q < n:
                x[i, j] = log(1.0 + blocks[q].characters - blocks[q].linked)
                x[i, j + 1] = blocks[q].linked / max(1, blocks[q].characters)
            else:
                x[i, j] = x[i, j + 1] = -1
            j += 2
        a, z = max(0, i - 5), min(n, i + 6)
        x[i, j] = log(1.0 + sums[z, GOOD] - sums[a, GOOD])
        x[i, j + 1] = (sums[z, LINKED] - sums[a, LINKED]) / max(1.0, sums[z, CHARACTERS] - sums[a, CHARACTERS])
        tag = elements[blocks[i].element].tag
        before = elements[blocks[i - 1].element].tag if i > 0 else -1
        behind = elements[blocks[i + 1].element].tag if i + 1 < n else -1
        x[i, j + 2] = before == tag
        x[i, j + 3] = behind == tag
        x[i, j + 4] = HEADING_LEVEL[before] if before >= 0 else 0
        x[i, j + 5] = HEADING_LEVEL[behind] if behind >= 0 else 0


@compiled
def _purpose(elements, blocks, x):  # type: ignore[no-untyped-def]
    """How far above the nearest ancestor of each group stands, and how many ancestors speak for and against."""
    count = elements.shape[0]
    nearest = np.full((count, _GROUPS), -1, np.int16)
    contents = np.zeros(count, np.int16)
    against = np.zeros(count, np.int16)
    for e in range(count):
        parent = elements[e].parent
        if parent >= 0:
            nearest[e] = nearest[parent]
            contents[e] = contents[parent]
            against[e] = against[parent]
        groups = elements[e].groups
        if groups:
            for g in range(_GROUPS):
                if groups >> g & 1:
                    nearest[e, g] = elements[e].depth
            contents[e] += (groups & _CONTENT) != 0
            against[e] += (groups & _AGAINST) != 0
    for i in range(blocks.shape[0]):
        e = blocks[i].element
        depth = elements[e].depth
        for g in range(_GROUPS):
            x[i, _PURPOSE + g] = min(depth - nearest[e, g], _FAR) if nearest[e, g] >= 0 else _NONE
        x[i, _PURPOSE + _GROUPS] = contents[e]
        x[i, _PURPOSE + _GROUPS + 1] = against[e]


@compiled
def _page(elements, blocks, sums, has_schema, x):  # type: ignore[no-untyped-def]
    n = blocks.shape[0]
    in_p = in_li = headings = ideographs = 0
    for i in range(n):
        tag = elements[blocks[i].element].tag
        if KIND[tag] == _P:
            in_p += blocks[i].characters
        elif KIND[tag] == _LI:
            in_li += blocks[i].characters
        headings += HEADING_LEVEL[tag] > 0
        ideographs += blocks[i].ideographs
    characters = max(1.0, sums[n, CHARACTERS])
    for i in range(n):
        row = x[i, _PAGE:]
        row[0] = log(characters)
        row[1] = sums[n, LINKED] / characters
        row[2] = log(1.0 * n)
        row[3] = sums[n, GOOD] / characters
        row[4] = in_p / characters
        row[5] = has_schema
        row[6] = characters / n
        row[7] = headings / n
        row[8] = in_li / characters
        row[9] = sums[n, STOP_WORDS] / max(1.0, sums[n, WORDS])
        row[10] = ideographs / characters
