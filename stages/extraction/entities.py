"""Character references (`&amp;` `&#8217;` `&nbsp`) to UTF-8.

Named ones come from Python's table of the standard's 2,231 names; without a semicolon only the 106 old names count, as the standard says.
Numbers 128 to 159 mean windows-1252; NUL, surrogates and numbers beyond U+10FFFF become U+FFFD.
Source: https://html.spec.whatwg.org/#named-character-references and section 13.2.5.80.
"""

from html.entities import html5

import numpy as np
from numba import njit

from stages.extraction.compiled import compiled_bare
from stages.extraction.lookup import BASIS, look, mix, table

_LONGEST = 33  # "CounterClockwiseContourIntegral;" and its ampersand
AMPERSAND, SEMICOLON, NUMBER_SIGN = 38, 59, 35


def _replacements() -> tuple[bytes, dict[str, int]]:
    """Every replacement's bytes in one row, and for each name start * 16 + length. &Auml; is not &auml;: the case counts."""
    row = bytearray()
    places: dict[str, int] = {}
    for name, text in sorted(html5.items()):
        encoded = text.encode()
        places[name] = len(row) * 16 + len(encoded)
        row += encoded
    return bytes(row), places


_ROW, _PLACES = _replacements()
NAMES, PLACES = table(_PLACES)
REPLACEMENTS = np.frombuffer(_ROW, np.uint8)
WINDOWS_1252 = np.array(
    [ord(bytes([byte]).decode("cp1252", "replace").replace("\ufffd", chr(byte))) for byte in range(128, 160)], np.int64
)


@compiled_bare
def reference(page, i, end, out, o):  # type: ignore[no-untyped-def]
    """The reference that begins at `page[i] == '&'`, as UTF-8 to `out[o:]`; returns (bytes read, bytes written).

    (1, 1) and the ampersand itself where there is none. Never more than 1.2 bytes are written for one that is read.
    """
    j = i + 1
    if j < end and page[j] == NUMBER_SIGN:
        j += 1
        hexadecimal = j < end and (page[j] | 32) == 120
        if hexadecimal:
            j += 1
        code, digits = 0, 0
        while j < end:
            c = page[j]
            if 48 <= c <= 57:
                digit = c - 48
            elif hexadecimal and 97 <= (c | 32) <= 102:
                digit = (c | 32) - 87
            else:
                break
            if code <= 0x10FFFF:
                code = code * (16 if hexadecimal else 10) + digit
            digits += 1
            j += 1
        if digits:
            if j < end and page[j] == SEMICOLON:
                j += 1
            if 128 <= code < 160:
                code = WINDOWS_1252[code - 128]
            if code == 0 or code > 0x10FFFF or 0xD800 <= code < 0xE000:
                code = 0xFFFD
            return j - i, _utf8(code, out, o)
    else:
        value = BASIS
        best_read, best_place = 0, np.int64(0)
        stop = min(end, i + _LONGEST)
        while j < stop:
            c = page[j]
            if not (48 <= c <= 57 or 97 <= (c | 32) <= 122 or c == SEMICOLON):
                break
            value = mix(value, c)
            j += 1
            place = look(NAMES, PLACES, value)
            if place:
                best_read, best_place = j - i, place
            if c == SEMICOLON:
                break
        if best_read:
            start, length = best_place >> 4, best_place & 15
            for k in range(length):
                out[o + k] = REPLACEMENTS[start + k]
            return best_read, length
    out[o] = AMPERSAND
    return 1, 1


@njit(inline="always")
def _utf8(code, out, o):  # type: ignore[no-untyped-def]
    if code < 0x80:
        out[o] = code
        return 1
    if code < 0x800:
        out[o] = 0xC0 | code >> 6
        out[o + 1] = 0x80 | code & 63
        return 2
    if code < 0x10000:
        out[o] = 0xE0 | code >> 12
        out[o + 1] = 0x80 | code >> 6 & 63
        out[o + 2] = 0x80 | code & 63
        return 3
    out[o] = 0xF0 | code >> 18
    out[o + 1] = 0x80 | code >> 12 & 63
    out[o + 2] = 0x80 | code >> 6 & 63
    out[o + 3] = 0x80 | code & 63
    return 4
