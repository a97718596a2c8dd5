"""C4: drop lines that are no prose, then pages that are placeholder, code or too short.

In: `text`. Out: the same rows; `text` without the dropped lines and without citation marks where the page is kept, as it was where
a rule broke; these signals and the `reason*` columns.

| column | type | |
|---|---|---|
| lines | i32 | lines before cleaning |
| long_word_lines, unpunctuated_lines, short_lines, javascript_lines, policy_lines | i32 | lines dropped, by cause |
| sentences | i32 | in the lines that stay, all counted |
| lorem_ipsum, curly_bracket | i32 | lines with it, of those that reach the test |
| lorem_ipsum_first | i32 | lines with lorem ipsum above the first curly bracket |

A line is dropped for the first cause in this order: a word that is too long, no closing mark, too few words, "javascript", a
policy phrase. The test for lorem ipsum stands before "javascript", that for curly brackets behind it.

Source: Raffel et al. 2020, "Exploring the Limits of Transfer Learning" (JMLR 21), section 2.2, with the long words and policy
phrases of its code. Light Markdown keeps its layout here (`layout`): C4 would tear code and lists apart. Without it, decisions and texts equal those of datatrove 0.10.1's C4QualityFilter in FineWeb's setting, except that an empty
text is called `empty`. Left out: the list of bad words, and C4's deduplication of three-sentence spans.
"""

import re

import polars as pl
from pydantic import Field

from stages.corpus.words import count_sentences
from stages.rules import Rule, decide
from stages.stage import Config, Sides, Stage

CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
FENCE = "```"
HEADING = re.compile(r"#{1,6} ")
GAPS = re.compile(r"\n{3,}")
CLOSING = (".", "?", "!", '"', "'")
POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


class C4Config(Config):
    """Which lines stay, and which pages."""

    max_word_length: int = Field(1000, ge=1)
    """A line with a longer word, in characters, is dropped."""
    closing_mark: bool = False
    """Drop lines that do not end in one of . ? ! " ' (C4 does, FineWeb does not)."""
    min_words_per_line: int = Field(3, ge=0)
    """A line with fewer words is dropped."""
    javascript: bool = True
    """Drop lines that mention JavaScript."""
    policy: bool = True
    """Drop lines that speak of cookies, terms of use or a privacy policy."""
    layout: bool = True
    """Keep what parts and marks the lines that stay: blank lines, indentation, headings, and code between lines of ``` as it is."""
    citations: bool = True
    """Take out marks like [1], [edit] and [citation needed]."""
    lorem_ipsum: bool = True
    """Drop pages with "lorem ipsum"."""
    curly_bracket: bool = True
    """Drop pages with a curly bracket."""
    min_sentences: int = Field(5, ge=0)
    """A page with fewer sentences in the lines that stay is dropped."""


SIGNALS: dict[str, pl.DataType] = {
    "lines": pl.Int32(),
    "long_word_lines": pl.Int32(),
    "unpunctuated_lines": pl.Int32(),
    "short_lines": pl.Int32(),
    "javascript_lines": pl.Int32(),
    "policy_lines": pl.Int32(),
    "sentences": pl.Int32(),
    "lorem_ipsum": pl.Int32(),
    "curly_bracket": pl.Int32(),
    "lorem_ipsum_first": pl.Int32(),
}


def rules(config: C4Config) -> list[Rule]:
    """Placeholder text and code, whichever comes first on the page, then length."""
    found = [
        Rule("lorem_ipsum", "lorem_ipsum_first", "above", 0),
        Rule("curly_bracket", "curly_bracket", "above", 0),
        Rule("lorem_ipsum", "lorem_ipsum", "above", 0),
    ]
    wanted = {"lorem_ipsum": config.lorem_ipsum, "curly_bracket": config.curly_bracket}
    return [
        Rule("empty", "lines", "below", 1),
        *(rule for rule in found if wanted[rule.reason]),
        Rule("too_few_sentences", "sentences", "below", config.min_sentences),
    ]


def run(docs: pl.DataFrame, config: C4Config, sides: Sides) -> pl.DataFrame:
    rows = [clean(text or "", config) for text in docs["text"]]
    cleaned = pl.Series("text", [text for text, _ in rows], dtype=pl.String)
    signals = pl.DataFrame([row for _, row in rows], schema=SIGNALS, orient="row")
    decided = decide(docs.hstack(signals), rules(config))
    return decided.with_columns(pl.when(pl.col("reason").is_null()).then(cleaned).otherwise(pl.col("text")).alias("text"))


def clean(text: str, config: C4Config) -> tuple[str, tuple[int, ...]]:
    """The lines of a text that stay, and its signals in the order of SIGNALS."""
    lines = text.splitlines()
    has_code = config.layout and sum(line.lstrip().startswith(FENCE) for line in lines) % 2 == 0
    in_code = False
    long_word = unpunctuated = short = javascript = policy = sentences = lorem_ipsum = curly_bracket = lorem_ipsum_first = 0
    kept = []
    for raw in lines:
        line = raw.strip()
        if has_code and line.startswith(FENCE):
            in_code = not in_code
        if in_code or (has_code and line.startswith(FENCE)):
            curly_bracket += "{" in line
            kept.append(raw.rstrip())
            continue
        if config.layout and not line:
            kept.append("")
            continue
        words = line.split()
        if len(line) > config.max_word_length and max(map(len, words)) > config.max_word_length:
            long_word += 1
            continue
        if config.citations and "[" in line:
            line = CITATION.sub("", line)
        heading = config.layout and HEADING.match(line) is not None
        if config.closing_mark and not heading and (not line.endswith(CLOSING) or line.endswith("...")):
            unpunctuated += 1
            continue
        if len(words) < config.min_words_per_line and not heading:
            short += 1
            continue
        lower = line.lower()
        if "lorem ipsum" in lower:
            lorem_ipsum += 1
            lorem_ipsum_first += not curly_bracket
        if config.javascript and "javascript" in lower:
            javascript += 1
            continue
        curly_bracket += "{" in line
        if config.policy and any(phrase in lower for phrase in POLICY):
            policy += 1
            continue
        sentences += count_sentences(line)
        kept.append(raw[: len(raw) - len(raw.lstrip())] + line if config.layout else line)
    counts = (long_word, unpunctuated, short, javascript, policy, sentences, lorem_ipsum, curly_bracket, lorem_ipsum_first)
    cleaned = "\n".join(kept).strip()
    return GAPS.sub("\n\n", cleaned) if config.layout else cleaned, (len(lines), *counts)


C4 = Stage(
    name="c4",
    version=2,
    run=run,
    config=C4Config,
    needs={"text": pl.String()},
    adds={"text": pl.String()},
    signals=SIGNALS,
    filters=True,
)
