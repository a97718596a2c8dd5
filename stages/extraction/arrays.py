"""A page as arrays: what the scanner fills and everything else reads.

    text       uint8[]     the page's text as UTF-8, block after block, white space collapsed
    elements   ELEMENT[]   in document order; elements[0] is the page itself
    blocks     BLOCK[]     in document order; a block is text that no block-level tag and no empty line interrupts
    marks      int32[KIND, 2]   where in the page's bytes its metadata stands: start, end; 0, 0 for none

          elements                        blocks                      text
          0 (page)    first 0 end 3       0  element 2  0..5          Title
          1 article   first 0 end 2       1  element 3  5..26         It was a wet morning.
          2 h1        first 0 end 1       2  element 5  26..32        Footer
          3 p         first 1 end 2
          4 b         first 1 end 2   (a phrasing element makes no block of its own)
          5 footer    first 2 end 3

`elements[e].first .. elements[e].end` are the blocks below an element, so sums over an element are differences of prefix sums.
"""

import numpy as np

ELEMENT = np.dtype([
    ("groups", np.int64),     # bit g: the element's tag, role, class or id belongs to groups.GROUPS[g]
    ("parent", np.int32),     # -1 for the page
    ("first", np.int32),      # blocks below: first .. end
    ("end", np.int32),
    ("signature", np.uint32), # hash of tag and class names without digits: equal for siblings of one kind
    ("name", np.uint32),      # hash of the tag's name
    ("tag", np.int16),        # number in elements.ELEMENTS
    ("depth", np.int16),
    ("flags", np.uint16),     # elements.FLAGS of the tag; PHRASING also in <svg> and <math>; ENDED
    ("hidden", np.uint8),     # SHOWN, CONCEALED or UNSHOWN; inherited
], align=True)  # fmt: skip

SHOWN = 0
CONCEALED = 1  # hidden by an attribute, as far as markup tells
UNSHOWN = 2  # by its nature: svg, select, template

BLOCK = np.dtype([
    ("start", np.int32),      # text[start:end]
    ("end", np.int32),
    ("element", np.int32),    # nearest element that is no phrasing element
    ("characters", np.int32), # without white space
    ("linked", np.int32),     # of them inside <a>
    ("bold", np.int32),       # of them inside <b> <strong>
    ("links", np.int32),      # <a> in it
    ("breaks", np.int32),     # <br> in it
    ("words", np.int32),
    ("letters", np.int32),
    ("foreign", np.int32),    # of them not ASCII
    ("capitals", np.int32),
    ("digits", np.int32),
    ("punctuation", np.int32),
    ("commas", np.int32),
    ("ideographs", np.int32), # Han, kana, hangul; each is a word
    ("stop_words", np.int32),
    ("title_words", np.int32),       # words that the page's <title> holds too
    ("description_words", np.int32), # words that its description holds too
    ("last", np.int32),       # code point of the last character
], align=True)  # fmt: skip

TITLE, OG_TITLE, DESCRIPTION, OG_DESCRIPTION, AUTHOR, PUBLISHED, SITE_NAME, LANGUAGE, OG_TYPE, JSON_LD = range(10)
JSON_LDS = 8  # JSON_LD .. JSON_LD + 7: the first scripts of application/ld+json
KINDS = JSON_LD + JSON_LDS
