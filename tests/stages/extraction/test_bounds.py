"""Ten megabytes of the worst: four times the page takes about four times the time, and an end is put to what a page may ask for."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stages.extraction.extractor import read
from stages.extraction.features import features
from stages.extraction.metadata import metadata
from stages.extraction.scanner import MAX_BLOCKS, MAX_DEPTH, MAX_ELEMENTS
from stages.extraction.text import render

ROOT = Path(__file__).parents[3]
MOST = 10_000_000
NOISE = 0.02  # CPU seconds; below it a ratio says nothing


def again(unit: bytes, before: bytes = b"", after: bytes = b"") -> Callable[[int], bytes]:
    return lambda size: before + unit * ((size - len(before) - len(after)) // len(unit)) + after


BAD: dict[str, Callable[[int], bytes]] = {
    "open <div>": again(b"<div>"),
    "open <b>": again(b"<b>x"),
    "open <a>": again(b"<a>x"),
    "open <a> around <div>": again(b"<a><div>x"),
    "one attribute": again(b"x ", b'<p class="', b'">a'),
    "one attribute that never ends": again(b"x", b"<p class='"),
    "many attributes": again(b"class=a id=b ", b"<p ", b">a"),
    "one space in a tag": again(b" ", b"<p a", b">a"),
    "a comment that never ends": again(b"->", b"a<!--"),
    "comments": again(b"<!-->a"),
    "a script that never ends": again(b"</scrip", b"a<script>"),
    "titles": again(b"<title></titl"),
    "ampersands": again(b"&"),
    "a name that is none": again(b"&CounterClockwiseContourIntegra"),
    "one number": again(b"1", b"&#"),
    "tables in cells": again(b"<table><tr><td>x"),
    "one row": again(b"<td>x", b"<table><tr>"),
    "a row of deep cells": again(b"<td>" + b"<div>" * 200 + b"x", b"<table><tr>"),
    "an <svg> that never ends": again(b"<path>", b"<svg>"),
    "<p>": again(b"<p>"),
    "<p> with text": again(b"<p>x"),
    "one text": again(b"text, and "),
    "<br>": again(b"<br>"),
    "</br>": again(b"x</br></br>"),
    "lines": again(b"x<br>"),
    "lines of code in a quotation": again(b"x\n", b"<blockquote>" * 9 + b"<ol><li>" * 9 + b"<pre>"),
    "empty lines of code": again(b"\n", b"<pre>x", b"x"),
    "end tags that end nothing, at a depth": again(b"</i>x", b"<b>" * 300),
    "end tags behind a block": again(b"</a></b>", b"<b><a>" + b"<div>" * 300),
    "blocks at a depth": again(b"x<hr>", b"<div>" * 300),
    "blocks in phrasing": again(b"<div>x</div>", b"<b>" * 250),
    "a button at a depth": again(b"<hr>", b"<p><button>" + b"<x>" * 300),
    "cells at a depth": again(b"<td>", b"<table>" + b"<x>" * 300),
    "items": again(b"<li>x", b"<ol>"),
    "forms": again(b"<form><div></form>"),
    "signs": again(b"< "),
    "NULs": again(b"\0"),
    "the same again": again(b"<p>same text</p>"),
    "JSON-LD": again(b"[", b"<script type='application/ld+json'>", b"</script>"),
    "one title": again(b"Title &amp; ", b"<title>", b"</title>"),
}


def seconds(page: bytes) -> float:
    started = time.process_time()
    scanned, array = read(page)
    elements, blocks, text, marks, _ = scanned
    assert len(elements) <= MAX_ELEMENTS
    assert len(blocks) <= MAX_BLOCKS
    assert elements["depth"].max() < MAX_DEPTH
    assert len(text) <= 1.25 * len(page) + 16
    assert features(scanned).shape[0] == len(blocks)
    assert len(render(scanned, np.ones(len(blocks), np.bool_), True)) < 20 * len(page)
    metadata(array, marks)
    return time.process_time() - started


@pytest.mark.parametrize("size", [800_000, MOST])  # below the bounds on blocks and elements, and beyond
@pytest.mark.parametrize("kind", BAD)
def test_four_times_the_page_takes_less_than_six_times_the_time(kind: str, size: int) -> None:
    seconds(BAD[kind](10_000))
    for _ in range(4):  # other processes disturb a measurement now and then
        small, large = seconds(BAD[kind](size // 4)), seconds(BAD[kind](size))
        if large < 6 * max(small, NOISE):
            return
    raise AssertionError(f"{kind}: {size // 4} bytes took {small:.2f} s, {size} bytes {large:.2f} s")


GROWTH = """
import resource, sys
from tests.stages.extraction.test_bounds import BAD, MOST, seconds
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seconds(BAD[sys.argv[1]](10_000))
before = peak()
seconds(BAD[sys.argv[1]](MOST))
print(peak() - before)
"""


@pytest.mark.parametrize("kind", ["tables in cells", "blocks at a depth", "lines of code in a quotation"])
def test_the_memory_that_a_page_takes_is_bounded(kind: str) -> None:
    done = subprocess.run([sys.executable, "-c", GROWTH, kind], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 600_000, f"{kind}: {done.stdout.strip()} KB more"
