"""Pages that a filter exists for. Each writer (nearly always) breaks one rule of the recipe, and none of the rules that are asked before it.

RULES maps a rule (datatrove's name for it) to its stage and writer. The texts are harmless; what is wrong with them is their form.
"""

from __future__ import annotations

from collections.abc import Callable

from stages.simulation import clutter, spam
from stages.simulation.grammar import Pen
from stages.simulation.page import Page
from stages.simulation.world import Person, World

Writer = Callable[[Pen, World, Person], Page]

RULES: dict[str, tuple[str, Writer]] = {
    "dup_para_frac": ("gopher_repetition", spam.repeated_paragraphs),
    "dup_line_frac": ("gopher_repetition", spam.repeated_lines),
    "top_2_gram": ("gopher_repetition", spam.keyword_spam),
    "dup_5_gram": ("gopher_repetition", spam.phrase_spam),
    "short_doc": ("gopher_quality", spam.short),
    "long_words": ("gopher_quality", spam.long_words),
    "too_many_hashes": ("gopher_quality", spam.hashtags),
    "too_many_ellipses": ("gopher_quality", spam.ellipses),
    "too_many_bullets": ("gopher_quality", spam.bullets),
    "too_many_end_ellipses": ("gopher_quality", spam.teasers),
    "too_few_alpha_words": ("gopher_quality", spam.numbers),
    "too_few_stop_words": ("gopher_quality", spam.no_stop_words),
    "curly_bracket": ("c4", clutter.code),
    "lorem_ipsum": ("c4", clutter.lorem),
    "too_few_sentences": ("c4", clutter.run_on),
    "javascript": ("c4", clutter.javascript),
    "policy": ("c4", clutter.cookie_wall),
    "line_punct_ratio": ("fineweb", clutter.headlines),
    "short_line_ratio": ("fineweb", clutter.poem),
    "char_dup_ratio": ("fineweb", clutter.shared_lines),
    "list_ratio": ("fineweb", clutter.directory),
}


def junk(pen: Pen, world: World, person: Person, rule: str) -> Page:
    return RULES[rule][1](pen, world, person)
