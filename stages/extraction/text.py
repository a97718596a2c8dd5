"""Kept blocks to text that a person would want to read: paragraphs parted by empty lines, and as light Markdown

| HTML | Markdown | plain |
|---|---|---|
| `<h2>` | `## Heading` | `Heading` |
| `<li>` in `<ul>`, `<ol>` | `- item`, `1. item`, two spaces a level | each on its line |
| `<blockquote>` | `> ` before each line | as it is |
| `<pre>` | fenced by three back quotes, white space kept | white space kept |
| `<tr>` of `<td>` | one line, cells parted by ` | ` | cells parted by tabs |
| `<br>` | new line | new line |

A row is one line only where every cell of it is a block of its own: a table that lays out a page gives paragraphs. Left out: emphasis, links,
images. Headings behind the last text head nothing, and go.
"""

import numpy as np

from stages.extraction.compiled import compiled
from stages.extraction.elements import HEADING_LEVEL, NUMBER
from stages.extraction.scanner import Scanned

_UL, _OL, _LI, _QUOTE, _PRE, _TD, _TH, _TR, _TABLE, _DT, _DD = (
    NUMBER[name] for name in ["ul", "ol", "li", "blockquote", "pre", "td", "th", "tr", "table", "dt", "dd"]
)
_LONG_CELL = 300  # bytes; a longer cell is a paragraph
_DEEPEST = 8  # levels of lists and quotations that are told apart
_ROOM = 128  # bytes of marks around a block, at most
_LINE_ROOM = 4 * _DEEPEST  # bytes of marks before a line within a block, at most
_NEWLINE, _SPACE, _TAB, _BAR, _MORE, _SHARP, _DASH, _BACK_QUOTE, _POINT = 10, 32, 9, 124, 62, 35, 45, 96, 46


def render(scanned: Scanned, keep: np.ndarray, markdown: bool) -> str:
    """The text of the blocks where `keep` (bool[blocks]) is true."""
    elements, blocks, text, _, _ = scanned
    kept = np.flatnonzero(keep)
    if not len(kept):
        return ""
    chosen = blocks[kept]
    room = len(kept) * _ROOM + _newlines(text, chosen) * _LINE_ROOM
    out = np.empty(int((chosen["end"] - chosen["start"]).sum()) + room, np.uint8)
    return out[: _render(elements, blocks, text, kept, markdown, out)].tobytes().decode("utf-8", "replace")


@compiled
def _newlines(text, blocks):  # type: ignore[no-untyped-def]
    count = 0
    for i in range(blocks.shape[0]):
        for k in range(blocks[i].start, blocks[i].end):
            count += text[k] == _NEWLINE
    return count


@compiled
def _render(elements, blocks, text, kept, markdown, out):  # type: ignore[no-untyped-def]
    ordinals = _ordinals(elements)
    o = 0
    table_before = row_before = list_before = item_before = -1
    row_seen, is_row = -1, False
    term_before = False
    last = kept.shape[0] - 1
    while last > 0 and HEADING_LEVEL[elements[blocks[kept[last]].element].tag]:
        last -= 1
    for k in range(last + 1):
        block = blocks[kept[k]]
        # What the block stands in.
        heading, quotes, lists = 0, 0, 0
        item = item_list = outer_list = cell = row = table = -1
        preformatted = term = False
        e = block.element
        while e > 0:
            tag = elements[e].tag
            if heading == 0 and item < 0 and cell < 0:
                heading = HEADING_LEVEL[tag]
            if tag == _LI and item < 0:
                item = e
            elif tag == _UL or tag == _OL:
                lists += 1
                outer_list = e
                if item_list < 0 and item >= 0:
                    item_list = e
            elif tag == _QUOTE:
                quotes += 1
            elif tag == _PRE:
                preformatted = True
            elif (tag == _TD or tag == _TH) and cell < 0:
                cell = e
            elif tag == _TR and row < 0 and cell >= 0:
                row = e
            elif tag == _TABLE:
                if table < 0:
                    table = e
                if item < 0:
                    break
            elif tag == _DT or tag == _DD:
                term = True
            e = elements[e].parent
        lists, quotes = min(lists, _DEEPEST), min(quotes, _DEEPEST)
        if item_list < 0:
            item, lists = -1, 0
        if row >= 0 and row != row_seen:
            row_seen, is_row = row, _is_row(elements, blocks, row)
        if row >= 0 and not is_row:
            row = table = -1

        # What parts it from the one before.
        in_row = k > 0 and row >= 0 and row == row_before
        if in_row:
            if markdown:
                out[o], out[o + 1], out[o + 2] = _SPACE, _BAR, _SPACE
                o += 3
            else:
                out[o] = _TAB
                o += 1
        elif k > 0:
            out[o] = _NEWLINE
            o += 1
            same_table = row >= 0 and table == table_before
            same_list = item >= 0 and outer_list == list_before and not preformatted
            if not (same_table or same_list or (term and term_before)):
                out[o] = _NEWLINE
                o += 1

        # Its marks, and its text line by line.
        fenced = markdown and preformatted
        indent = 2 * lists if item == item_before else 2 * (lists - 1)
        if not in_row:
            o = _margin(out, o, quotes, indent if item >= 0 else 0, markdown)
            if markdown and item >= 0 and item != item_before:
                if elements[item_list].tag == _OL:
                    o = _number(out, o, ordinals[item])
                    out[o] = _POINT
                else:
                    out[o] = _DASH
                out[o + 1] = _SPACE
                o += 2
            if markdown and heading and item < 0 and not preformatted:
                for _ in range(heading):
                    out[o] = _SHARP
                    o += 1
                out[o] = _SPACE
                o += 1
        if fenced:
            o = _fence(out, o)
            out[o] = _NEWLINE
            o = _margin(out, o + 1, quotes, 2 * lists, markdown)
        end = block.end
        if (
            end - block.start > 2 and text[end - 1] == 0xB6 and text[end - 2] == 0xC2
        ):  # the pilcrow with which manuals link a heading
            end -= 2
        for j in range(block.start, end):
            c = text[j]
            if c == _NEWLINE and (row >= 0 or (markdown and heading)):
                c = _SPACE
            out[o] = c
            o += 1
            if c == _NEWLINE:
                o = _margin(out, o, quotes, 2 * lists, markdown)
        if fenced:
            out[o] = _NEWLINE
            o = _margin(out, o + 1, quotes, 2 * lists, markdown)
            o = _fence(out, o)
        table_before, row_before, list_before, item_before, term_before = table, row, outer_list if item >= 0 else -1, item, term
    return o


@compiled
def _ordinals(elements):  # type: ignore[no-untyped-def]
    """For each <li> its number among its parent's, from 1."""
    items = np.zeros(elements.shape[0], np.int32)
    ordinals = np.zeros(elements.shape[0], np.int32)
    for e in range(1, elements.shape[0]):
        if elements[e].tag == _LI:
            items[elements[e].parent] += 1
            ordinals[e] = items[elements[e].parent]
    return ordinals


@compiled
def _is_row(elements, blocks, row):  # type: ignore[no-untyped-def]
    """Whether the blocks of this <tr> stand each in a cell of its own and are short."""
    before = -1
    for i in range(elements[row].first, elements[row].end):
        e = blocks[i].element
        while e > row and elements[e].parent != row:
            e = elements[e].parent
        if e == before or blocks[i].end - blocks[i].start > _LONG_CELL:
            return False
        before = e
    return True


@compiled
def _margin(out, o, quotes, indent, markdown):  # type: ignore[no-untyped-def]
    if markdown:
        for _ in range(quotes):
            out[o], out[o + 1] = _MORE, _SPACE
            o += 2
        for _ in range(indent):
            out[o] = _SPACE
            o += 1
    return o


@compiled
def _number(out, o, number):  # type: ignore[no-untyped-def]
    digits = 1
    while number >= 10**digits:
        digits += 1
    for d in range(digits):
        out[o + digits - 1 - d] = 48 + number // 10**d % 10
    return o + digits


@compiled
def _fence(out, o):  # type: ignore[no-untyped-def]
    for _ in range(3):
        out[o] = _BACK_QUOTE
        o += 1
    return o
