"""Runs of text into blocks: character references resolved, white space collapsed, what nobody sees left out.

White space is that of HTML, the no-break space included; U+00AD (soft hyphen), U+200B (zero-width space), U+2060 (word joiner), U+FEFF and control characters
go. In <pre> spaces and newlines stay. A block begins with its first character that is no white space and never ends with white space.
"""

import numpy as np

from stages.extraction.compiled import compiled_bare
from stages.extraction.entities import reference

# The scanner's state: one int64 array, these its places.
TEXT = 0  # bytes of text so far
BLOCKS = 1  # blocks closed so far
OPEN = 2  # 1: blocks[BLOCKS] is begun
SPACED = 3  # 1: text ends with white space
LINKS = 4  # open <a>
BOLD = 5  # open <b>, <strong>
PREFORMATTED = 6  # open <pre>
CONTAINER = 7  # nearest open element that is no phrasing element
ELEMENTS = 8  # elements so far
DEPTH = 9  # open elements
FOREIGN = 10  # place of <svg> or <math> on the stack, plus 1
FORM = 11  # the element that <form> made, until </form>; 0: none
SIZE = 12

_NOTHING, _SPACE, _VISIBLE = 0, 1, 2


@compiled_bare
def append(page, i, end, state, text, blocks):  # type: ignore[no-untyped-def]
    """`page[i:end]`, which holds no tag, into the open block; begins one at the first character that asks for it."""
    o, b = state[TEXT], state[BLOCKS]
    spaced, is_open, preformatted = state[SPACED], state[OPEN], state[PREFORMATTED] > 0
    characters = 0
    while i < end:
        c = page[i]
        if 32 < c < 127 and c != 38:
            text[o] = c
            read, written, kind = 1, 1, _VISIBLE
        elif (c == 32 or c == 10 or c == 9) and not preformatted and (spaced or not is_open):
            i += 1
            continue
        else:
            read, written, kind = _character(page, i, end, text, o)
        i += read
        if kind == _NOTHING:
            continue
        if kind == _SPACE:
            if preformatted:
                space = text[o]
                if space == 10 and not is_open:
                    continue
                text[o] = space if space == 10 or space == 9 else 32
            elif is_open and not spaced:
                text[o] = 32
            else:
                continue
        if not is_open:
            is_open = 1
            begin(blocks, b, o, state)
        if kind == _VISIBLE:
            o += written
            characters += 1
            spaced = 0
        else:
            o += 1
            spaced = 1
    if characters:
        blocks[b].characters += characters
        if state[LINKS] > 0:
            blocks[b].linked += characters
        if state[BOLD] > 0:
            blocks[b].bold += characters
    state[TEXT], state[SPACED], state[OPEN] = o, spaced, is_open


@compiled_bare
def _character(page, i, end, text, o):  # type: ignore[no-untyped-def]
    """The character at `page[i]`, its bytes at `text[o]`: (bytes read, bytes written, kind)."""
    c = page[i]
    read, written = 1, 1
    if c == 38:
        read, written = reference(page, i, end, text, o)
    elif c >= 0xC0:
        read = written = 2 if c < 0xE0 else 3 if c < 0xF0 else 4
        if i + read > end:  # no valid UTF-8: the decoder lets none through
            return end - i, 0, _NOTHING
        for k in range(read):
            text[o + k] = page[i + k]
    else:
        text[o] = c
    c = text[o]
    if written == 1:
        if c > 32:
            return read, written, _NOTHING if c == 127 else _VISIBLE
        if c == 13 and i + 1 < end and page[i + 1] == 10:
            return read, 0, _NOTHING
        if c == 13:
            text[o] = 10
        return read, written, _SPACE if c == 32 or 9 <= c <= 13 else _NOTHING
    d = text[o + 1]
    if c == 0xC2 and d <= 0xAD:
        if d == 0xA0 or d == 0x85:
            return read, written, _SPACE
        if d < 0xA0 or d == 0xAD:
            return read, written, _NOTHING
    elif written == 3:
        e = text[o + 2]
        if (c == 0xE2 and ((d == 0x80 and e == 0x8B) or (d == 0x81 and e == 0xA0))) or (c == 0xEF and d == 0xBB and e == 0xBF):
            return read, written, _NOTHING
    return read, written, _VISIBLE


@compiled_bare
def begin(blocks, b, o, state):  # type: ignore[no-untyped-def]
    block = blocks[b]
    block.start = o
    block.end = o
    block.element = state[CONTAINER]
    block.characters = 0
    block.linked = 0
    block.bold = 0
    block.links = 1 if state[LINKS] > 0 else 0
    block.breaks = 0


@compiled_bare
def close(state, text, blocks):  # type: ignore[no-untyped-def]
    """Ends the open block, if there is one; white space alone makes none."""
    if not state[OPEN]:
        return
    b = state[BLOCKS]
    o = state[TEXT]
    start = blocks[b].start
    while o > start and text[o - 1] <= 32:
        o -= 1
    blocks[b].end = o
    if o > start:
        state[BLOCKS] = b + 1
    state[TEXT], state[OPEN], state[SPACED] = o, 0, 0


@compiled_bare
def line_break(state, text, blocks):  # type: ignore[no-untyped-def]
    """<br>: a new line; the second in a row ends the block, for that is how old pages part paragraphs."""
    if not state[OPEN]:
        return
    o = state[TEXT]
    if not state[PREFORMATTED]:
        while o > blocks[state[BLOCKS]].start and text[o - 1] == 32:
            o -= 1
        if text[o - 1] == 10:
            state[TEXT] = o
            close(state, text, blocks)
            return
    text[o] = np.uint8(10)
    blocks[state[BLOCKS]].breaks += 1
    state[TEXT], state[SPACED] = o + 1, 1
