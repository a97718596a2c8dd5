"""Words as llama.cpp cuts them under each name, and published tokenizers recognised."""

import json
from typing import Any

import pytest

from models.tokenizer.pretokenizers import NAMES, pretokenizer, recognised

from .made import bytelevel_files

TEXT = "We'LL  see\t it's 12345 x_1?!\n\n  ok'ſ ½"
CUTS = {
    "qwen2": "We|'LL| | see|\t| it|'s| |1|2|3|4|5| x|_|1|?!\n\n| | ok|'ſ| |½",
    "llama-bpe": "We|'LL| | see|\t| it|'s| |123|45| x|_|1|?!\n\n| | ok|'ſ| |½",
    "gpt-2": "We|'|LL| | see|\t| it|'s| 12345| x|_|1|?!|\n\n | ok|'|ſ| ½",
    "smollm": "We|'|LL| | see|\t| it|'s| |1|2|3|4|5| x|_|1|?!|\n\n | ok|'|ſ| |½",
}


@pytest.mark.parametrize("name", NAMES)
def test_text_is_cut_as_llama_cpp_cuts_it_under_that_name(name: Any) -> None:
    cut = [TEXT[first:last] for _, (first, last) in pretokenizer(name).pre_tokenize_str(TEXT)]
    assert "|".join(cut) == CUTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_name_is_read_back_from_the_file(name: Any) -> None:
    assert recognised(json.loads(bytelevel_files(name)["tokenizer.json"])["pre_tokenizer"]) == name


def test_published_tokenizers_are_recognised_and_others_are_not() -> None:
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    assert recognised({"type": "Sequence", "pretokenizers": [split, level]}) == "qwen2"
    three = split | {"pattern": {"Regex": pattern.replace(r"|\p{N}|", r"|\p{N}{1,3}|")}}
    assert recognised({"type": "Sequence", "pretokenizers": [three, level]}) == "llama-bpe"
    assert recognised({"type": "Sequence", "pretokenizers": [three, level | {"add_prefix_space": True}]}) is None
    assert recognised(level | {"use_regex": True}) == "gpt-2"
    assert recognised(level) is None
    assert recognised({"type": "Whitespace"}) is None
    assert recognised(None) is None
