"""Whether bytes are valid UTF-8, without making text of them: most pages are, and only their words are ever needed as text.

The table of well-formed byte sequences in The Unicode Standard, section 3.9, table 3-7; eight ASCII bytes at a time (find.py).
"""

import numpy as np

from stages.extraction.compiled import compiled_bare
from stages.extraction.find import words_of

_HIGH = np.uint64(0x8080808080808080)


def is_utf8(page: bytes) -> bool:
    array = np.frombuffer(page, np.uint8)
    return bool(_is_utf8(array, words_of(array)))


@compiled_bare
def _is_utf8(page, words):  # type: ignore[no-untyped-def]
    n = page.shape[0]
    i = 0
    while i < n:
        c = page[i]
        if c < 0x80:
            i += 1
            if i & 7 == 0:
                w = i >> 3
                while w < words.shape[0] and words[w] & _HIGH == 0:
                    w += 1
                i = w << 3 if w << 3 > i else i
            continue
        low, high = 0x80, 0xBF  # of the second byte
        if 0xC2 <= c <= 0xDF:
            more = 1
        elif 0xE0 <= c <= 0xEF:
            more = 2
            low = 0xA0 if c == 0xE0 else 0x80
            high = 0x9F if c == 0xED else 0xBF
        elif 0xF0 <= c <= 0xF4:
            more = 3
            low = 0x90 if c == 0xF0 else 0x80
            high = 0x8F if c == 0xF4 else 0xBF
        else:
            return False
        if i + more >= n or not low <= page[i + 1] <= high:
            return False
        for k in range(2, more + 1):
            if page[i + k] & 0xC0 != 0x80:
                return False
        i += more + 1
    return True
