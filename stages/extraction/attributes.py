"""The attributes of one start tag: what they say of the element's purpose, and where the page's metadata stands.

Quoted and unquoted values, white space around `=`, and `/` as the standard's tokenizer takes them (section 13.2.5.32 and after).
"""

import numpy as np

from stages.extraction import groups
from stages.extraction.arrays import (
    AUTHOR,
    CONCEALED,
    DESCRIPTION,
    OG_DESCRIPTION,
    OG_TITLE,
    OG_TYPE,
    PUBLISHED,
    SITE_NAME,
)
from stages.extraction.compiled import compiled_bare
from stages.extraction.find import find
from stages.extraction.lookup import BASIS, PRIME, hash_of, look, mix, table

_CLASS, _ID, _ROLE, _ITEMPROP, _HIDDEN, _STYLE, _TYPE, _NAME, _CONTENT, _ARIA_HIDDEN, _LANG = range(1, 12)
_ATTRIBUTES, _ATTRIBUTE = table({
    "class": _CLASS, "id": _ID, "role": _ROLE, "itemprop": _ITEMPROP, "hidden": _HIDDEN, "style": _STYLE, "type": _TYPE, "name": _NAME,
    "property": _NAME, "content": _CONTENT, "aria-hidden": _ARIA_HIDDEN, "lang": _LANG,
})  # fmt: skip
# What <meta name=...> or <meta property=...> holds. The first of a kind counts.
_METADATA, _METADATA_KINDS = table({
    "og:title": OG_TITLE, "twitter:title": OG_TITLE, "description": DESCRIPTION, "og:description": OG_DESCRIPTION,
    "twitter:description": OG_DESCRIPTION, "author": AUTHOR, "article:author": AUTHOR, "dc.creator": AUTHOR, "dcterms.creator": AUTHOR,
    "parsely-author": AUTHOR, "citation_author": AUTHOR, "article:published_time": PUBLISHED, "date": PUBLISHED, "pubdate": PUBLISHED,
    "dc.date": PUBLISHED, "dc.date.issued": PUBLISHED, "dcterms.created": PUBLISHED, "dcterms.date": PUBLISHED, "datepublished": PUBLISHED,
    "parsely-pub-date": PUBLISHED, "publish-date": PUBLISHED, "citation_publication_date": PUBLISHED, "og:site_name": SITE_NAME,
    "og:type": OG_TYPE,
})  # fmt: skip

_WORDS, _WORD_GROUPS = groups.WORDS
_ROLES, _ROLE_GROUPS = groups.ROLES
_PROPERTIES, _PROPERTY_GROUPS = groups.PROPERTIES
_LD = hash_of("application/ld+json")

# What `read` found, in an int64 array.
GROUPS, SIGNATURE, HIDDEN, JSON, SELF_CLOSING, KIND, CONTENT_START, CONTENT_END, LANG_START, LANG_END = range(10)
FOUND = 10


@compiled_bare
def read(page, words, i, signature, found):  # type: ignore[no-untyped-def]
    """The attributes from `page[i]` to the end of the tag, into `found`; returns the place after `>`."""
    n = page.shape[0]
    found[:] = 0
    purposes = np.int64(0)
    seen = 0
    while i < n:
        c = page[i]
        if c == 62:
            break
        if c <= 32 or c == 47:
            found[SELF_CLOSING] = c == 47 or (found[SELF_CLOSING] and c <= 32)
            i += 1
            continue
        found[SELF_CLOSING] = 0
        name = BASIS
        first = i
        while i < n:
            c = page[i]
            if c <= 32 or c == 62 or c == 47 or (c == 61 and i > first):
                break
            name = mix(name, c | 32 if 65 <= c <= 90 else c)
            i += 1
        start = end = i
        j = i
        while j < n and page[j] <= 32:
            j += 1
        if j < n and page[j] == 61:
            i = j + 1
            while i < n and page[i] <= 32:
                i += 1
            if i < n and (page[i] == 34 or page[i] == 39):
                quote = page[i]
                i += 1
                start = i
                i = find(page, words, i, quote)
                end = i
                i += 1
            else:
                start = i
                while i < n and page[i] > 32 and page[i] != 62:
                    i += 1
                end = i
        which = look(_ATTRIBUTES, _ATTRIBUTE, name)
        if which == 0 or (
            seen >> which & 1 and which != _NAME
        ):  # the first of two stands, but `name` and `property` are one to us
            continue
        seen |= 1 << which
        if which == _CLASS or which == _ID:
            bits, hashed = _names(page, start, end, signature)
            purposes |= bits
            if which == _CLASS:
                signature = hashed
        elif which == _ROLE:
            purposes |= look(_ROLES, _ROLE_GROUPS, _word(page, start, end))
        elif which == _ITEMPROP:
            purposes |= look(_PROPERTIES, _PROPERTY_GROUPS, _word(page, start, end))
        elif which == _HIDDEN:
            found[HIDDEN] = CONCEALED
        elif which == _ARIA_HIDDEN:
            if start < end and page[start] | 32 == 116:
                found[HIDDEN] = CONCEALED
        elif which == _STYLE:
            if _conceals(page, start, end):
                found[HIDDEN] = CONCEALED
        elif which == _TYPE:
            found[JSON] = end - start >= 19 and _word(page, start, start + 19) == _LD
        elif which == _NAME:
            kind = look(_METADATA, _METADATA_KINDS, _word(page, start, end))
            if kind and not found[KIND]:
                found[KIND] = kind
        elif which == _CONTENT:
            found[CONTENT_START], found[CONTENT_END] = start, end
        elif which == _LANG:
            found[LANG_START], found[LANG_END] = start, end
    found[GROUPS], found[SIGNATURE] = purposes, signature
    return min(i + 1, n)


@compiled_bare
def _word(page, start, end):  # type: ignore[no-untyped-def]
    value = BASIS
    for k in range(start, end):
        c = page[k]
        value = mix(value, c | 32 if 65 <= c <= 90 else c)
    return value


@compiled_bare
def _names(page, start, end, signature):  # type: ignore[no-untyped-def]
    """The groups of the words in a class or id, and `signature` with these words."""
    purposes = np.int64(0)
    value = BASIS
    length = 0
    after_lower = False
    for k in range(start, end + 1):
        c = page[k] if k < end else 32
        upper = 65 <= c <= 90
        lower = 97 <= c <= 122
        if (upper and after_lower) or not (upper or lower):
            if length > 0:
                signature = np.uint32((signature ^ value) * PRIME)
            if length > 1:
                purposes |= look(_WORDS, _WORD_GROUPS, value)
            value = BASIS
            length = 0
        if upper or lower:
            value = mix(value, c | 32)
            length += 1
        after_lower = lower
    return purposes, signature


@compiled_bare
def _conceals(page, start, end):  # type: ignore[no-untyped-def]
    """Whether a style says `display:none` or `visibility:hidden`: by the letters around the colon."""
    for k in range(start + 7, end - 3):
        if page[k] == 58:
            v = k + 1
            if page[v] == 32:
                v += 1
            before, one, two = page[k - 1] | 32, page[v] | 32, page[min(v + 1, end - 1)] | 32
            if before == 121 and page[k - 2] | 32 == 97 and one == 110 and two == 111:  # display: none
                return True
            if before == 121 and page[k - 2] | 32 == 116 and one == 104 and two == 105:  # visibility: hidden
                return True
    return False
