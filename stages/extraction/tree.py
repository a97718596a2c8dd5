"""The open elements while a page is scanned: what a start tag ends without saying so, and how far up an end tag reaches.

By the rules of the standard for tree construction (https://html.spec.whatwg.org/ section 13.2.6), so far as they decide where text stands.
`stack[1 .. state[DEPTH]]` are the open elements, stack[0] the page. Each step costs at most the depth, which the scanner bounds.
"""

from stages.extraction.compiled import compiled_bare
from stages.extraction.elements import BREAKS_OUT, CLOSES_P, ENDED, HEADING, NUMBER, ORDINARY, PHRASING, SCOPE, TRANSPARENT
from stages.extraction.runs import BLOCKS, BOLD, CONTAINER, DEPTH, ELEMENTS, FOREIGN, FORM, LINKS, OPEN, PREFORMATTED, close

(
    _A, _ADDRESS, _B, _BODY, _BUTTON, _CAPTION, _DD, _DIV, _DT, _FORM, _HTML, _LI, _OL, _OPTION, _P, _PRE, _STRONG, _TABLE,
    _TD, _TH, _TR, _UL,
) = (NUMBER[name] for name in (
    "a", "address", "b", "body", "button", "caption", "dd", "div", "dt", "form", "html", "li", "ol", "option", "p", "pre",
    "strong", "table", "td", "th", "tr", "ul",
))  # fmt: skip


@compiled_bare
def open_element(tag, name, flags, group_bits, signature, hidden, state, stack, elements):  # type: ignore[no-untyped-def]
    parent = stack[state[DEPTH]]
    e = state[ELEMENTS]
    state[ELEMENTS] = e + 1
    state[DEPTH] += 1
    stack[state[DEPTH]] = e
    element = elements[e]
    element.groups = group_bits
    element.parent = parent
    element.first = state[BLOCKS]
    element.end = state[BLOCKS]
    element.signature = signature
    element.name = name
    element.tag = tag
    element.depth = elements[parent].depth + 1
    element.flags = flags
    element.hidden = max(elements[parent].hidden, hidden)
    if not flags & PHRASING:
        state[CONTAINER] = e


@compiled_bare
def pop_to(depth, state, stack, elements, blocks, text):  # type: ignore[no-untyped-def]
    """Ends the open elements at `stack[depth]` and above, and those below that were only open for them."""
    while state[DEPTH] >= depth or (state[DEPTH] > 0 and elements[stack[state[DEPTH]]].flags & ENDED):
        element = elements[stack[state[DEPTH]]]
        tag = 0 if element.flags & ENDED else element.tag
        if not element.flags & PHRASING:
            close(state, text, blocks)
            up = element.parent
            while elements[up].flags & PHRASING:
                up = elements[up].parent
            state[CONTAINER] = up
        # Text that an open phrasing element began belongs to it, though its block is still open; white space of a <pre> may come to nothing.
        element.end = state[BLOCKS] + (1 if state[OPEN] and blocks[state[BLOCKS]].characters else 0)
        if tag == _A:
            state[LINKS] -= 1
        elif tag == _B or tag == _STRONG:
            state[BOLD] -= 1
        elif tag == _PRE:
            state[PREFORMATTED] -= 1
        state[DEPTH] -= 1
        if state[FOREIGN] > state[DEPTH] + 1:
            state[FOREIGN] = 0


@compiled_bare
def end_tag(tag, name, flags, state, stack, elements, blocks, text):  # type: ignore[no-untyped-def]
    if flags & TRANSPARENT:
        if tag != _HTML and tag != _BODY:
            imply(tag, flags, state, stack, elements, blocks, text)
        return
    if tag == _FORM:
        _end_form(state, stack, elements, blocks, text)
        return
    q = state[DEPTH]
    while q > 0:
        element = elements[stack[q]]
        open_flags = element.flags
        if (element.name == name and not open_flags & ENDED) or (flags & HEADING and open_flags & HEADING):
            pop_to(q, state, stack, elements, blocks, text)
            return
        if flags & ORDINARY:
            if not open_flags & ORDINARY:
                if tag == _A or tag == _B or tag == _STRONG:
                    _end_early(q, tag, state, stack, elements)
                return
        elif (
            element.tag == _TABLE
            or (open_flags & SCOPE and not flags & SCOPE and tag != _TR)
            or (element.tag == _BUTTON and tag == _P)
            or ((element.tag == _UL or element.tag == _OL) and tag == _LI)
        ):
            break
        q -= 1
    if tag == _P:  # the standard makes an empty one here, which parts the text
        close(state, text, blocks)


@compiled_bare
def _end_early(q, tag, state, stack, elements):  # type: ignore[no-untyped-def]
    """</a> or </b> with a block open in it: what follows is no link and not bold, but the block stays open."""
    while q > 0 and not elements[stack[q]].flags & SCOPE:
        element = elements[stack[q]]
        if element.tag == tag and not element.flags & ENDED:
            element.flags |= ENDED
            state[LINKS if tag == _A else BOLD] -= 1
            return
        q -= 1


@compiled_bare
def _end_form(state, stack, elements, blocks, text):  # type: ignore[no-untyped-def]
    """</form> ends no element but the form and, in it, those that need no end tag."""
    form, state[FORM] = state[FORM], 0
    q = state[DEPTH]
    while q > 0 and stack[q] != form:
        if elements[stack[q]].flags & SCOPE:
            return
        q -= 1
    if q == 0:
        return
    top = state[DEPTH]
    while top > q:
        tag = elements[stack[top]].tag
        if tag != _P and tag != _LI and tag != _DD and tag != _DT and tag != _OPTION:
            break
        top -= 1
    if top == q:
        pop_to(q, state, stack, elements, blocks, text)
    else:
        pop_to(top + 1, state, stack, elements, blocks, text)
        elements[form].flags |= ENDED


@compiled_bare
def pop_nearest(tag, state, stack, elements, blocks, text):  # type: ignore[no-untyped-def]
    """Ends the nearest open element of that kind and all inside it, unless a table cell or the like stands between."""
    q = state[DEPTH]
    while q > 0:
        element = elements[stack[q]]
        if element.tag == tag:
            pop_to(q, state, stack, elements, blocks, text)
            return
        if element.flags & SCOPE or element.tag == _BUTTON:
            return
        q -= 1


@compiled_bare
def imply(tag, flags, state, stack, elements, blocks, text):  # type: ignore[no-untyped-def]
    """Ends what the start tag of `tag` ends without saying so."""
    depth = state[DEPTH]
    if depth == 0:
        return
    if state[FOREIGN]:
        if flags & BREAKS_OUT:
            pop_to(state[FOREIGN] - 1, state, stack, elements, blocks, text)
        return
    if flags & CLOSES_P:
        pop_nearest(_P, state, stack, elements, blocks, text)
    if flags & HEADING:
        if elements[stack[state[DEPTH]]].flags & HEADING:
            pop_to(state[DEPTH], state, stack, elements, blocks, text)
    elif tag == _BUTTON or tag == _OPTION:
        pop_nearest(tag, state, stack, elements, blocks, text)
    elif tag == _LI or tag == _DD or tag == _DT:
        q = state[DEPTH]
        while q > 0:
            open_tag = elements[stack[q]].tag
            if open_tag == tag or (tag != _LI and (open_tag == _DD or open_tag == _DT)):
                pop_to(q, state, stack, elements, blocks, text)
                return
            if not elements[stack[q]].flags & PHRASING and open_tag != _ADDRESS and open_tag != _DIV and open_tag != _P:
                return
            q -= 1
    elif tag == _TD or tag == _TH or tag == _TR or flags & TRANSPARENT:
        # A cell ends a cell, a row ends a row, a row group ends both: up to the nearest table.
        q = state[DEPTH]
        ends = 0
        while q > 0:
            open_tag = elements[stack[q]].tag
            if open_tag == _TABLE:
                break
            if open_tag == _TD or open_tag == _TH or open_tag == _CAPTION or (open_tag == _TR and tag != _TD and tag != _TH):
                ends = q
            q -= 1
        if ends and q > 0:
            pop_to(ends, state, stack, elements, blocks, text)
