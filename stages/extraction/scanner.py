"""A page's bytes to elements, blocks and text, in one pass: `scan`.

Tags are read as the standard's tokenizer does, and the tree is built by its rules for implied and omitted tags, so far as they decide
where text stands: <p>, <li>, <dd>, <tr>, <td> and <a> end one another, end tags reach up to the next table cell, contents of <script> and the like are
no markup. Left out: foster parenting (text between table rows stays where it is written) and the reopening of <b> and <i> behind a block.

Each byte is looked at a bounded number of times. What is beyond a bound degrades: below MAX_DEPTH elements lie flat, and at MAX_ELEMENTS or
MAX_BLOCKS the page ends.
"""

from typing import NamedTuple

import numpy as np

from stages.extraction import attributes, groups
from stages.extraction.arrays import BLOCK, ELEMENT, JSON_LD, JSON_LDS, KINDS, LANGUAGE, TITLE, UNSHOWN
from stages.extraction.attributes import CONTENT_END, CONTENT_START, FOUND, HIDDEN, JSON, KIND, LANG_END, LANG_START, SELF_CLOSING
from stages.extraction.attributes import read as read_attributes
from stages.extraction.compiled import compiled_bare
from stages.extraction.elements import CLOSES_P, FLAGS, NUMBER, PHRASING, RAW, TRANSPARENT, VOID
from stages.extraction.elements import UNSHOWN as UNSHOWN_TAG
from stages.extraction.find import find, words_of
from stages.extraction.lookup import BASIS, hash_of, look, mix, table
from stages.extraction.runs import (
    BLOCKS,
    BOLD,
    DEPTH,
    ELEMENTS,
    FOREIGN,
    FORM,
    LINKS,
    OPEN,
    PREFORMATTED,
    SIZE,
    TEXT,
    append,
    close,
    line_break,
)
from stages.extraction.tree import end_tag, imply, open_element, pop_nearest, pop_to

MAX_DEPTH = 256
MAX_ELEMENTS = 400_000
MAX_BLOCKS = 200_000

_TAGS, _TAG_NUMBERS = table(NUMBER)
_TAG_GROUPS = groups.OF_TAG
_FOREIGN_OBJECT = hash_of("foreignobject")
(
    _A, _B, _BODY, _BR, _FORM, _HR, _HTML, _INPUT, _MATH, _META, _PRE, _SCRIPT, _SELECT, _STRONG, _SVG, _TABLE, _TD,
    _TEXTAREA, _TH, _TITLE, _TR,
) = (NUMBER[name] for name in (
    "a", "b", "body", "br", "form", "hr", "html", "input", "math", "meta", "pre", "script", "select", "strong", "svg",
    "table", "td", "textarea", "th", "title", "tr",
))  # fmt: skip
_TR_NAME = hash_of("tr")


class Scanned(NamedTuple):
    elements: np.ndarray  # ELEMENT[e]
    blocks: np.ndarray  # BLOCK[b]; what `measure` fills is undefined
    text: np.ndarray  # uint8[t]
    marks: np.ndarray  # int32[KINDS, 2]
    tags: int  # `<` in the page


def scan(page: np.ndarray) -> Scanned:
    """`page`: uint8[n], valid UTF-8 without a byte order mark."""
    tags = int(np.count_nonzero(page == 60))
    elements = np.empty(min(2 * tags + 3, MAX_ELEMENTS), ELEMENT)  # a cell makes its row where that is left out
    blocks = np.empty(min(tags + 2, MAX_BLOCKS), BLOCK)
    text = np.empty(page.shape[0] + page.shape[0] // 4 + 16, np.uint8)
    marks = np.zeros((KINDS, 2), np.int32)
    made, closed, written = _scan(
        page,
        words_of(page),
        elements,
        blocks,
        text,
        marks,
        np.zeros(SIZE, np.int64),
        np.zeros(FOUND, np.int64),
        np.zeros(MAX_DEPTH, np.int32),
    )
    return Scanned(elements[:made], blocks[:closed], text[:written], marks, tags)


@compiled_bare
def _scan(page, words, elements, blocks, text, marks, state, found, stack):  # type: ignore[no-untyped-def]
    n = page.shape[0]
    root = elements[0]
    root.groups, root.parent, root.first, root.end, root.signature, root.name = 0, -1, 0, 0, 0, 0
    root.tag, root.depth, root.flags, root.hidden = 0, 0, 0, 0
    state[ELEMENTS] = 1
    i = 0
    while i < n:
        if page[i] != 60:
            start = i
            i = find(page, words, i, 60)
            if not state[OPEN] and not state[PREFORMATTED]:  # most text between tags is white space that says nothing
                while start < i and page[start] <= 32:
                    start += 1
            if start < i and elements[stack[state[DEPTH]]].hidden != UNSHOWN:
                append(page, start, i, state, text, blocks)
            continue
        c = page[i + 1] if i + 1 < n else 0
        if c == 33:
            i = _declaration(page, words, i + 2)
            continue
        ending = c == 47
        first = i + 2 if ending else i + 1
        letter = page[first] | 32 if first < n else 0
        if not 97 <= letter <= 122:
            if c == 63 or ending:
                i = min(find(page, words, i + 1, 62) + 1, n)
            else:  # a lonely `<` is text
                if elements[stack[state[DEPTH]]].hidden != UNSHOWN:
                    append(page, i, i + 1, state, text, blocks)
                i += 1
            continue
        i = first
        name = BASIS
        while i < n:
            c = page[i]
            if c <= 32 or c == 62 or c == 47:
                break
            name = mix(name, c | 32 if 65 <= c <= 90 else c)
            i += 1
        tag = look(_TAGS, _TAG_NUMBERS, name)
        flags = FLAGS[tag]
        signature = np.uint32(tag)
        if i < n and page[i] == 62:
            found[:] = 0
            found[attributes.SIGNATURE] = signature
            i += 1
        else:
            i = read_attributes(page, words, i, signature, found)
        if state[BLOCKS] >= blocks.shape[0] - 1 or state[ELEMENTS] >= elements.shape[0] - 1:
            break
        if ending:
            if tag == _BR:
                line_break(state, text, blocks)
            else:
                end_tag(tag, name, flags, state, stack, elements, blocks, text)
            continue
        if tag == _META:
            if found[KIND]:
                _mark(marks, found[KIND], found[CONTENT_START], found[CONTENT_END])
            continue
        group_bits = found[attributes.GROUPS] | _TAG_GROUPS[tag]
        if flags & TRANSPARENT:
            if tag == _HTML or tag == _BODY:
                elements[0].groups |= group_bits
                _mark(marks, LANGUAGE, found[LANG_START], found[LANG_END])
            imply(tag, flags, state, stack, elements, blocks, text)
            continue
        if flags & RAW:
            if flags & CLOSES_P:
                imply(tag, flags, state, stack, elements, blocks, text)
            if tag == _TEXTAREA:
                pop_nearest(_SELECT, state, stack, elements, blocks, text)
            start = i
            i = _raw_text(page, words, i, name)
            if tag == _TITLE and elements[stack[state[DEPTH]]].hidden != UNSHOWN:
                _mark(marks, TITLE, start, i)
            elif tag == _SCRIPT and found[JSON]:
                for kind in range(JSON_LD, JSON_LD + JSON_LDS):
                    if marks[kind, 1] == 0:
                        _mark(marks, kind, start, i)
                        break
            continue
        if tag == _A and state[LINKS]:
            end_tag(tag, name, flags, state, stack, elements, blocks, text)
        elif tag == _FORM and state[FORM]:
            continue
        if state[FOREIGN] or not flags & PHRASING:
            imply(tag, flags, state, stack, elements, blocks, text)
        if flags & VOID:
            if tag == _BR:
                if elements[stack[state[DEPTH]]].hidden != UNSHOWN:
                    line_break(state, text, blocks)
            elif tag == _HR:
                close(state, text, blocks)
            elif tag == _INPUT:
                pop_nearest(_SELECT, state, stack, elements, blocks, text)
            continue
        if state[FOREIGN]:
            flags |= PHRASING
        elif not flags & PHRASING:
            close(state, text, blocks)
        if found[SELF_CLOSING] and (state[FOREIGN] or tag == _SVG or tag == _MATH):
            continue
        if state[DEPTH] >= MAX_DEPTH - 1:
            continue
        above = elements[stack[state[DEPTH]]].tag
        if (tag == _TD or tag == _TH) and above == _TABLE and state[DEPTH] < MAX_DEPTH - 2:
            open_element(_TR, _TR_NAME, FLAGS[_TR], 0, _TR, 0, state, stack, elements)
        hidden = UNSHOWN if flags & UNSHOWN_TAG else found[HIDDEN]
        open_element(tag, name, flags, group_bits, found[attributes.SIGNATURE], hidden, state, stack, elements)
        if tag == _A:
            state[LINKS] += 1
            if state[OPEN]:
                blocks[state[BLOCKS]].links += 1
        elif tag == _B or tag == _STRONG:
            state[BOLD] += 1
        elif tag == _PRE:
            state[PREFORMATTED] += 1
        elif tag == _FORM:
            state[FORM] = stack[state[DEPTH]]
            if above == _TABLE or above == _TR:  # between cells it holds nothing
                pop_to(state[DEPTH], state, stack, elements, blocks, text)
        elif tag == _SVG or tag == _MATH:
            state[FOREIGN] = state[DEPTH] + 1
        elif state[FOREIGN] and tag == 0 and name == _FOREIGN_OBJECT:
            state[FOREIGN] = 0
    close(state, text, blocks)
    pop_to(1, state, stack, elements, blocks, text)
    elements[0].end = state[BLOCKS]
    return state[ELEMENTS], state[BLOCKS], state[TEXT]


@compiled_bare
def _mark(marks, kind, start, end):  # type: ignore[no-untyped-def]
    """The first of each kind stands."""
    if end > start and marks[kind, 1] == 0:
        marks[kind, 0], marks[kind, 1] = start, end


@compiled_bare
def _declaration(page, words, i):  # type: ignore[no-untyped-def]
    """The place after a comment or doctype whose `<!` ends before `page[i]`."""
    n = page.shape[0]
    if not (i + 1 < n and page[i] == 45 and page[i + 1] == 45):
        return min(find(page, words, i, 62) + 1, n)
    i += 2
    start = i
    if i < n and page[i] == 62:
        return i + 1
    if i + 1 < n and page[i] == 45 and page[i + 1] == 62:
        return i + 2
    while True:
        i = find(page, words, i, 62) + 1
        if i > n:
            return n
        if page[i - 2] == 45 and page[i - 3] == 45:
            return i
        if i - 4 >= start and page[i - 2] == 33 and page[i - 3] == 45 and page[i - 4] == 45:
            return i


@compiled_bare
def _raw_text(page, words, i, name):  # type: ignore[no-untyped-def]
    """The place of the end tag of the element `name` whose content begins at `page[i]`, or the page's end."""
    n = page.shape[0]
    while True:
        i = find(page, words, i, 60)
        if i >= n:
            return n
        if i + 1 < n and page[i + 1] == 47:
            value = BASIS
            j = i + 2
            while j < n and (97 <= page[j] | 32 <= 122):
                value = mix(value, page[j] | 32)
                j += 1
            if value == name and (j == n or page[j] <= 32 or page[j] == 62 or page[j] == 47):
                return i
        i += 1
