"""The part of a chunk that a query is about: the neighbouring sentences that fit and have the most of its rare terms."""

from __future__ import annotations

from collections.abc import Mapping

from stages.retrieval.chunks import LINE, sentences
from stages.retrieval.terms import terms


def passage(text: str, weights: Mapping[str, float], longest: int) -> str:
    """On one line, at most `longest` characters: of all runs of whole sentences that fit the one of the highest weight, of equal ones
    the first. A sentence weighs what the query's terms in it weigh, each once; questions and headings, which answer nothing, a quarter
    of it. A sentence that is too long by itself is cut."""
    found = [sentence for line in LINE.findall(text) for sentence in _told(line)]
    weight = [
        sum(weights.get(term, 0.0) for term in set(terms(sentence))) / (4 if sentence.endswith(("?", "？", ":")) else 1)
        for sentence in found
    ]
    best, chosen = -1.0, ""
    for first in range(len(found)):
        last, size, total = first, -1, 0.0
        while last < len(found) and (last == first or size + 1 + len(found[last]) <= longest):
            size += 1 + len(found[last])
            total += weight[last]
            last += 1
        if total > best:
            best, chosen = total, " ".join(found[first:last])
    return chosen if len(chosen) <= longest else chosen[: max(longest - 3, 0)].rstrip() + "..."[:longest]


def _told(line: str) -> list[str]:
    """The sentences of a line; a heading (Markdown's #) leads to what follows it."""
    heading = line.startswith("#")
    made = [" ".join(line[start:end].lstrip("#").split()) for start, end in sentences(line)]
    return [f"{sentence}:" if heading and sentence[-1].isalnum() else sentence for sentence in made if sentence]
