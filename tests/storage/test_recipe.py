"""One recipe, one key; nothing without a stable form gets into one."""

from pathlib import Path

import pytest

from storage.canonical import canonical, digest
from storage.recipe import Recipe


def test_canonical_json_is_sorted_and_tight_and_keeps_text_as_it_is() -> None:
    assert canonical({"b": [1, 2.0, None, True], "a": "é\n"}) == '{"a":"é\\n","b":[1,2.0,null,true]}'


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": float("nan")}, r"\$\.a is nan"),
        ([float("inf")], r"\$\[0\] is inf"),
        ({"a": {1, 2}}, r"\$\.a is a set"),
        ({"a": Path("x")}, r"\$\.a is a PosixPath"),
        ({"a": b"x"}, r"\$\.a is a bytes"),
        ({"a": [print]}, r"\$\.a\[0\] is a builtin"),
        ({1: "a"}, r"the key 1 of type int"),
    ],
)
def test_what_has_no_stable_form_is_refused_with_its_place(value: object, where: str) -> None:
    with pytest.raises((TypeError, ValueError), match=where):
        canonical(value)


def test_a_digest_is_pinned_so_that_stores_stay_readable() -> None:
    assert digest({"a": 1}, 12) == "015abd7f5cc5"


def test_the_key_changes_with_everything_that_changes_the_output() -> None:
    base = Recipe("c4", 1, {"min_sentences": 5}, {"docs": "fineweb/0123456789ab"})
    others = [
        Recipe("c5", 1, {"min_sentences": 5}, {"docs": "fineweb/0123456789ab"}),
        Recipe("c4", 2, {"min_sentences": 5}, {"docs": "fineweb/0123456789ab"}),
        Recipe("c4", 1, {"min_sentences": 6}, {"docs": "fineweb/0123456789ab"}),
        Recipe("c4", 1, {"min_sentences": 5}, {"docs": "fineweb/ba9876543210"}),
    ]
    assert len({base.key, *(other.key for other in others)}) == 5
    assert Recipe("c4", 1, {"min_sentences": 5}, {"docs": "fineweb/0123456789ab"}).key == base.key


def test_a_family_forgets_snapshots_and_nothing_else() -> None:
    early = Recipe("clusters", 1, {}, {"signatures": "signatures/0123456789ab@aaaaaaaaaaaa"})
    late = Recipe("clusters", 1, {}, {"signatures": "signatures/0123456789ab@bbbbbbbbbbbb"})
    other = Recipe("clusters", 2, {}, {"signatures": "signatures/0123456789ab@aaaaaaaaaaaa"})
    assert early.key != late.key
    assert early.family == late.family != other.family
