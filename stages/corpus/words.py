"""English words and sentences: exactly those of spaCy's blank English pipeline as datatrove 0.10.1 uses it, at a fraction of the cost.

In: a text. Out: `words(text)`, its tokens without white space, and `count_sentences(text)`.

spaCy's tokenizer treats each run of non-space characters (a chunk) alone, so its answer per chunk is kept in a bounded memo. One
thing crosses chunks: a last pass merges tokens that spell a special case (`)` and `:` become `):`), and a match that spans a
single space can hide one inside a chunk. Chunks in which that pass would change something are rare (4 texts in 100 have one). They are
marked by None in the memo, and send their stretch of text, up to the next white space that is a token of its own, to spaCy whole.

Left out: chunks longer than LONGEST characters are cut into pieces of that length before anything else (spaCy's cost per chunk
grows faster than its length). Below that the words are the library's own, which the tests check on hostile strings.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

LONGEST = 1000
"""Characters of a chunk that is tokenized in one piece: C4's longest word."""

MEMO_CHARACTERS = 2_000_000
"""Characters of chunks in the memo before it starts anew: about a quarter of a million chunks in 60 MB (hostile ones: 200 MB)."""

# White space that spaCy keeps as a token: every run but a single space.
STRETCH = re.compile(r"\s{2,}|[^\S ]")
CHUNK = re.compile(r"\S+")

# spaCy takes this name of one of its own symbols for a number, and raises from the second time on that it meets it.
UNSPEAKABLE, STAND_IN = "IS_ALPHA", "IS_ALPH\N{GREEK CAPITAL LETTER ALPHA}"


def words(text: str) -> list[str]:
    """The words and punctuation marks of `text` in order, as `datatrove.utils.text.split_into_words(text, "en")` gives them.

    Raises UnicodeEncodeError on lone surrogates, which no Parquet column can hold.
    """
    if UNSPEAKABLE in text:
        return [word.replace(STAND_IN, UNSPEAKABLE) for word in words(text.replace(UNSPEAKABLE, STAND_IN))]
    chunks = text.split()
    if max(map(len, chunks), default=0) > LONGEST:
        text = CHUNK.sub(_cut, text)
        chunks = text.split()
    tokens = _english().tokens(chunks)
    if None not in tokens:
        return list(chain.from_iterable(tokens))  # type: ignore[arg-type]
    return [word for stretch in STRETCH.split(text) for word in _english().stretch(stretch)]


def count_sentences(text: str) -> int:
    """Sentences of `text` as spaCy's sentencizer splits them: a new one at the first non-punctuation after a closing mark."""
    sentences, closed = 1, False
    marks = _english().marks
    for stretch in STRETCH.split(text):
        if closed:  # the white space before this stretch is a token, and opens a sentence
            sentences, closed = sentences + 1, False
        for word in words(stretch):
            if word in marks:
                closed = True
            elif closed and not _is_punctuation(word):
                sentences, closed = sentences + 1, False
    return sentences


def _cut(chunk: re.Match[str]) -> str:
    return " ".join(chunk[0][at : at + LONGEST] for at in range(0, len(chunk[0]), LONGEST))


@lru_cache(maxsize=1 << 12)
def _is_punctuation(word: str) -> bool:
    return all(unicodedata.category(character).startswith("P") for character in word)


@lru_cache(maxsize=1)
def _english() -> "_English":
    return _English()


class _English:
    """spaCy's English tokenizer, and the memo of what it answered."""

    def __init__(self) -> None:
        import spacy
        from spacy.pipeline import Sentencizer
        from spacy.symbols import ORTH
        from spacy.tokenizer import Tokenizer

        self.marks = frozenset(Sentencizer.default_punct_chars)
        self.nlp: Any = spacy.blank("en")
        self.whole = self.nlp.tokenizer
        # The same matches in constant instead of linear time per affix: prefixes are anchored at the start, suffixes at the end.
        self.whole.prefix_search = self.whole.prefix_search.__self__.match
        self.whole.suffix_search = _at_the_end(self.whole.suffix_search.__self__)
        prefix, suffix, infix = self.whole.prefix_search, self.whole.suffix_search, self.whole.infix_finditer
        matchers = self.whole.token_match, self.whole.url_match
        cases: dict[str, Any] = self.whole.rules

        # spaCy registers for its last pass the special cases that an affix splits: those in which a search finds something while
        # the cases are loaded. `alone` finds nothing then, and so is the tokenizer without that pass.
        loaded = False

        def once_loaded(search: Callable[[str], Any], nothing: Any) -> Callable[[str], Any]:
            return lambda string: search(string) if loaded else nothing

        late = once_loaded(prefix, None), once_loaded(suffix, None), once_loaded(infix, ())
        self.alone = Tokenizer(self.nlp.vocab, cases, *late, *matchers)
        loaded = True

        self.cases = frozenset(cases)
        plain = Tokenizer(self.nlp.vocab, None, prefix, suffix, infix, *matchers)
        self.merged: set[tuple[str, ...]] = set()
        for case, parts in cases.items():
            split = tuple(token.text for token in plain(case))
            if split != tuple(part[ORTH] for part in parts):
                self.merged.add(split)
        self.longest_merged = max(map(len, self.merged))
        self.merged_starts = {split[0] for split in self.merged}
        self.memo: dict[str, tuple[str, ...] | None] = {}
        self.room = MEMO_CHARACTERS

    def tokens(self, chunks: Sequence[str]) -> list[tuple[str, ...] | None]:
        """The tokens of each chunk, None where the special cases must be looked for in the whole stretch."""
        memo = self.memo
        try:
            return [memo[chunk] for chunk in chunks]
        except KeyError:
            pass
        unknown = {chunk for chunk in chunks if chunk not in memo}
        size = sum(map(len, unknown))
        if size > self.room:
            self.memo = memo = {}
            self.room = MEMO_CHARACTERS
            unknown = set(chunks)
            size = sum(map(len, unknown))
        self.room -= size
        with self.nlp.memory_zone():  # else spaCy keeps every string that it ever saw
            for chunk in unknown:
                memo[chunk] = self._tokens(chunk)
        return [memo[chunk] for chunk in chunks]

    def _tokens(self, chunk: str) -> tuple[str, ...] | None:
        if chunk.isascii() and chunk.isalpha() and chunk not in self.cases:
            return (chunk,)  # no affix is a mere letter
        tokens = tuple(token.text for token in self.alone(chunk))
        for at, token in enumerate(tokens):
            if token in self.merged_starts:
                for end in range(at + 1, min(at + self.longest_merged, len(tokens)) + 1):
                    if tokens[at:end] in self.merged:
                        return None
        return tokens if len(tokens) > 1 else (chunk,)

    def stretch(self, text: str) -> list[str]:
        """Words of a text whose only white space is single spaces."""
        tokens = self.tokens(text.split())
        if None not in tokens:
            return list(chain.from_iterable(tokens))  # type: ignore[arg-type]
        with self.nlp.memory_zone():
            return [token.text for token in self.whole(text) if not token.is_space]


def _at_the_end(suffixes: re.Pattern[str]) -> Callable[[str], re.Match[str] | None]:
    """The leftmost match of alternatives that all end in `$`; only a run of full stops can be longer than the window."""

    def search(string: str) -> re.Match[str] | None:
        start = max(0, len(string) - 16)
        match = suffixes.search(string, start)
        return suffixes.search(string) if match is not None and match.start() == start > 0 else match

    return search
