import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from stages.corpus.blocklists import ARCHIVE, BLOCKLISTS, WORDS, BlocklistsConfig, key, list_files
from stages.stage import Input
from storage.problem import Problem


def write_lists(folder: Path, domains: str, urls: str, hard: str = "", soft: str = "", sub: str = "") -> Input:
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / ARCHIVE, "w:gz") as archive:
        for name, text in (("urls", urls), ("domains", domains)):
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    for name, text in (("hard", hard), ("soft", soft), ("sub", sub)):
        (folder / WORDS[name]).write_text(text)
    return Input(folder, (ARCHIVE, *WORDS.values()))


def test_entries_become_sorted_hashes_and_words_lose_their_punctuation(tmp_path: Path) -> None:
    lists = write_lists(
        tmp_path / "in", "b.com\na.com\r\n#c.com\na.com", "a.com/B\n", "Bad\n#off\nb-a-d\n", "meh\n\n", "two words\n"
    )
    config = BlocklistsConfig(extra_domains=("d.com",), extra_urls=("e.com/f",))
    assert BLOCKLISTS.run({"lists": lists}, tmp_path, config) == {"urls": 2, "domains": 3, "hard": 1, "soft": 1, "sub": 1}
    assert np.load(tmp_path / "domains.npy").tolist() == sorted(map(key, ("a.com", "b.com", "d.com")))
    assert np.load(tmp_path / "urls.npy").tolist() == sorted(map(key, ("a.com/B", "e.com/f")))
    assert json.loads((tmp_path / "words.json").read_text()) == {"hard": ["bad"], "soft": ["meh"], "sub": ["twowords"]}


def test_the_order_of_the_lists_changes_no_byte(tmp_path: Path) -> None:
    written = []
    for number, domains in enumerate(("a.com\nb.com\n", "b.com\na.com\nb.com\n")):
        out = tmp_path / str(number)
        BLOCKLISTS.run({"lists": write_lists(out, domains, "")}, out, BlocklistsConfig())
        written.append((out / "domains.npy").read_bytes())
    assert written[0] == written[1]


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    lists = Input(tmp_path, (ARCHIVE, WORDS["hard"], WORDS["sub"]))
    with pytest.raises(Problem, match="found no soft_banned_words"):
        BLOCKLISTS.run({"lists": lists}, tmp_path, BlocklistsConfig())


def test_datatrove_has_the_lists_in_one_folder() -> None:
    files = list_files()
    assert {file.name for file in files} == {ARCHIVE, *WORDS.values()}
    assert {file.is_file() for file in files} == {True}
    assert len({file.parent for file in files}) == 1
