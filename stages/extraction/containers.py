"""Features from the elements that hold a block: which of them holds the page's good text, and which repeat.

| names | what they say |
|---|---|
| characters_k ... stop_words_k | of the k-th ancestor that holds more blocks than the one below it |
| siblings ... | of the most repeated ancestor: elements of one parent with the same tag and classes, such as cards and list items |
| alike ... | of all blocks of the page whose element and parent have the same tag and classes, wherever they stand |
| copies | blocks with the very same text |
| in_best, readability | the element with the highest readability score, and the best score above this block relative to it |
| in_80, in_50, ... | the deepest element that holds 80 or 50 % of the good text |
| from_h1, from_title ... | blocks since the first <h1>, since the block most like the page's title, since the first and last good block |

Readability scores: each block of text gives points to its ancestors, fewer a level up; Arc90's Readability (2009).
"""

from math import log

import numpy as np

from stages.extraction.compiled import compiled
from stages.extraction.elements import HEADING_LEVEL, NUMBER
from stages.extraction.sums import CHARACTERS, GOOD, LINKED, STOP_WORDS, WORDS

LEVELS = 4
ABOVE = tuple(
    f"{name}_{level}"
    for level in range(1, LEVELS + 1)
    for name in ("characters", "link_density", "blocks", "characters_per_block", "good_share", "stop_words")
)
REPEATED = (
    "siblings", "characters_per_sibling", "sibling_links", "sibling_good", "sibling_distance", "alike", "alike_characters", "alike_links",
    "alike_good", "copies", "page_most_siblings",
)  # fmt: skip
BEST = (
    "in_best", "readability", "in_80", "depth_below_80", "in_50", "beside_50", "share_of_80", "from_h1", "from_title", "from_first_good",
    "from_last_good",
)  # fmt: skip
NAMES: tuple[str, ...] = ABOVE + REPEATED + BEST

_TAG_P = NUMBER["p"]
_REACH = 60  # distances in blocks beyond this are all alike
_NOWHERE = -99


def fill(elements: np.ndarray, blocks: np.ndarray, text: np.ndarray, sums: np.ndarray, x: np.ndarray, at: int) -> None:
    """The columns `at` .. `at + len(NAMES)` of `x`."""
    _above(elements, blocks, sums, x, at)
    _repeated(elements, blocks, text, sums, x, at + len(ABOVE))
    _best(elements, blocks, sums, x, at + len(ABOVE) + len(REPEATED))


@compiled
def _above(elements, blocks, sums, x, at):  # type: ignore[no-untyped-def]
    n = blocks.shape[0]
    all_good = max(1.0, sums[n, GOOD])
    for i in range(n):
        e = blocks[i].element
        a, z = i, i + 1
        j = at
        for _ in range(LEVELS):
            while e > 0 and elements[e].first >= a and elements[e].end <= z:
                e = elements[e].parent
            a, z = elements[e].first, elements[e].end
            characters = max(1.0, sums[z, CHARACTERS] - sums[a, CHARACTERS])
            count = max(1, z - a)
            x[i, j] = log(characters)
            x[i, j + 1] = (sums[z, LINKED] - sums[a, LINKED]) / characters
            x[i, j + 2] = log(1.0 + count)
            x[i, j + 3] = log(1.0 + characters / count)
            x[i, j + 4] = (sums[z, GOOD] - sums[a, GOOD]) / all_good
            x[i, j + 5] = (sums[z, STOP_WORDS] - sums[a, STOP_WORDS]) / max(1.0, sums[z, WORDS] - sums[a, WORDS])
            j += 6


@compiled
def slot_of(key, keys):  # type: ignore[no-untyped-def]
    """The place of `key`, which is no -1, in the open table `keys`, whose length is a power of two."""
    last = keys.shape[0] - 1
    at = (key * np.int64(-7046029254386353131) >> np.int64(29)) & last
    while keys[at] != -1 and keys[at] != key:
        at = (at + 1) & last
    keys[at] = key
    return at


@compiled
def size_for(count):  # type: ignore[no-untyped-def]
    size = 16
    while size < 2 * count + 2:
        size *= 2
    return size


@compiled
def siblings_of(elements):  # type: ignore[no-untyped-def]
    """For each element a number shared with the siblings of its kind, and how many numbers there may be."""
    count = elements.shape[0]
    keys = np.full(size_for(count), -1, np.int64)
    slots = np.zeros(count, np.int32)
    for e in range(1, count):
        slots[e] = slot_of(np.int64(elements[e].parent) << np.int64(32) | np.int64(elements[e].signature), keys)
    return slots, keys.shape[0]


@compiled
def alike_of(elements, blocks):  # type: ignore[no-untyped-def]
    """For each block a number shared with those in elements of the same kind below parents of the same kind."""
    n = blocks.shape[0]
    keys = np.full(size_for(n), -1, np.int64)
    slots = np.zeros(n, np.int32)
    for i in range(n):
        e = blocks[i].element
        parent = elements[e].parent
        above = np.int64(elements[parent].signature) if parent >= 0 else np.int64(0)
        slots[i] = slot_of((above << np.int64(31)) ^ np.int64(elements[e].signature), keys)
    return slots, keys.shape[0]


@compiled
def _repeated(elements, blocks, text, sums, x, at):  # type: ignore[no-untyped-def]
    n = blocks.shape[0]
    all_good = max(1.0, sums[n, GOOD])
    slots, size = siblings_of(elements)
    siblings = np.zeros(size, np.int32)
    for e in range(1, elements.shape[0]):
        siblings[slots[e]] += 1
    alike, size = alike_of(elements, blocks)
    kinds = np.zeros((size, 4))
    for i in range(n):
        row = kinds[alike[i]]
        row[0] += 1
        row[1] += blocks[i].characters
        row[2] += blocks[i].linked
        row[3] += sums[i + 1, GOOD] - sums[i, GOOD]
    most = 0
    for i in range(n):
        repeated, holder, distance = 1, -1, 0
        e = blocks[i].element
        step = 0
        while e > 0:
            count = siblings[slots[e]]
            if count >= 3 and count > repeated and elements[e].tag != _TAG_P:
                repeated, holder, distance = count, elements[e].parent, step
            e = elements[e].parent
            step += 1
        most = max(most, repeated)
        x[i, at] = log(1.0 * repeated)
        x[i, at + 1] = x[i, at + 2] = x[i, at + 3] = 0
        x[i, at + 4] = distance
        if holder >= 0:
            a, z = elements[holder].first, elements[holder].end
            characters = max(1.0, sums[z, CHARACTERS] - sums[a, CHARACTERS])
            x[i, at + 1] = log(1.0 + characters / repeated)
            x[i, at + 2] = (sums[z, LINKED] - sums[a, LINKED]) / characters
            x[i, at + 3] = (sums[z, GOOD] - sums[a, GOOD]) / all_good
        row = kinds[alike[i]]
        x[i, at + 5] = log(1.0 + row[0])
        x[i, at + 6] = log(1.0 + row[1] / row[0])
        x[i, at + 7] = row[2] / max(1.0, row[1])
        x[i, at + 8] = row[3] / all_good
    keys = np.full(size_for(n), -1, np.int64)
    copies = np.zeros(keys.shape[0], np.int32)
    places = np.zeros(n, np.int32)
    for i in range(n):
        key = np.int64(1469598103934665603)
        for k in range(blocks[i].start, blocks[i].end):
            key = (key ^ np.int64(text[k])) * np.int64(1099511628211)
        places[i] = slot_of(key & np.int64(0x7FFFFFFFFFFFFFFF), keys)
        copies[places[i]] += 1
    for i in range(n):
        x[i, at + 9] = min(copies[places[i]], 20)
        x[i, at + 10] = log(1.0 * max(1, most))


@compiled
def _best(elements, blocks, sums, x, at):  # type: ignore[no-untyped-def]
    n, count = blocks.shape[0], elements.shape[0]
    score = np.zeros(count)
    for i in range(n):
        block = blocks[i]
        size = block.characters + 2 * block.ideographs
        if size >= 25 and block.linked < 0.5 * block.characters:
            points = 1 + block.commas + min(size / 100.0, 3.0)
            e = elements[block.element].parent
            weight, level = 1.0, 0
            while e > 0 and level < 5:
                score[e] += points * weight
                level += 1
                weight = 0.5 if level == 1 else 1.0 / (3.0 * level)
                e = elements[e].parent
    all_good, all_characters = sums[n, GOOD], max(1.0, sums[n, CHARACTERS])
    best, highest, e80, e50 = 0, -1.0, 0, 0
    for e in range(1, count):
        a, z = elements[e].first, elements[e].end
        characters = sums[z, CHARACTERS] - sums[a, CHARACTERS]
        if characters > 0:
            score[e] *= 1 - (sums[z, LINKED] - sums[a, LINKED]) / characters
            if score[e] > highest:
                highest, best = score[e], e
            good = sums[z, GOOD] - sums[a, GOOD]
            if good >= 0.8 * all_good and elements[e].depth >= elements[e80].depth:
                e80 = e
            if good >= 0.5 * all_good and elements[e].depth >= elements[e50].depth:
                e50 = e
    highest = max(highest, 1e-6)
    h1 = title = first = last = -1
    most = 0.3
    for i in range(n):
        if h1 < 0 and HEADING_LEVEL[elements[blocks[i].element].tag] == 1:
            h1 = i
        like = blocks[i].title_words / (blocks[i].words + 2.0)
        if like > most:
            most, title = like, i
        if sums[i + 1, GOOD] > sums[i, GOOD]:
            first = i if first < 0 else first
            last = i
    share = (sums[elements[e80].end, CHARACTERS] - sums[elements[e80].first, CHARACTERS]) / all_characters
    for i in range(n):
        row = x[i, at:]
        e = blocks[i].element
        row[3] = elements[e].depth - elements[e80].depth
        inside, in80, in50, highest_above, step = 0, 0, 0, 0.0, 0
        while e > 0:
            inside |= e == best
            in80 |= e == e80
            in50 |= e == e50
            if step > 0:
                highest_above = max(highest_above, score[e])
            e = elements[e].parent
            step += 1
        row[0] = inside
        row[1] = highest_above / highest
        row[2] = in80
        row[4] = in50
        row[5] = -1 if i < elements[e50].first else 1 if i >= elements[e50].end else 0
        row[6] = share
        row[7] = _distance(i, h1)
        row[8] = _distance(i, title)
        row[9] = _distance(i, first)
        row[10] = _distance(i, last)


@compiled
def _distance(i, place):  # type: ignore[no-untyped-def]
    return max(-_REACH, min(_REACH, i - place)) if place >= 0 else _NOWHERE
