import pytest

from models.chat.tools.tool import call
from stages.retrieval.passage import passage
from stages.retrieval.search import Index, open_index
from stages.retrieval.tool import NOTHING, search_tool
from tests.stages.retrieval import world


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return open_index(world.index(tmp_path_factory.mktemp("tool")))


def test_a_result_cites_where_it_is_from(index: Index) -> None:
    assert call(search_tool(index, k=1, urls=True), "Which animal does Odin keep?") == (
        "[1] https://d.example\nOdin keeps an owl. Odin works as a smith in Gelmere. The owl of Odin hoots twice before rain."
    )
    assert call(search_tool(index, k=1), "the river of Gelmere").startswith("[1] Gelmere lies on the river Dresuth.")


@pytest.mark.parametrize("longest", [0, 10, 50, 62, 63, 100, 130, 200, 1000])
@pytest.mark.parametrize("k", [1, 3, 50])
def test_a_result_is_never_longer_than_it_may_be(index: Index, longest: int, k: int) -> None:
    found = search_tool(index, k=k, longest=longest, urls=True).run("Odin, Tara, Gelmere and the owl")
    assert len(found) <= longest
    assert found.count("https://") <= k
    assert ("https://" in found) == (longest > 62)


def test_where_nothing_is_found_it_says_so(index: Index) -> None:
    assert search_tool(index).run("zzz") == NOTHING
    assert search_tool(index).run("") == NOTHING


TEXT = "# On owls\n\nOtters swim. Owls hoot at night.\n\nDo owls eat otters? Nobody asked. Otters eat fish and are happy."


@pytest.mark.parametrize(
    ("weights", "longest", "expected"),
    [
        (
            {"owl": 1.0},
            1000,
            "On owls: Otters swim. Owls hoot at night. Do owls eat otters? Nobody asked. Otters eat fish and are happy.",
        ),
        ({"hoot": 1.0}, 20, "Owls hoot at night."),
        ({"eat": 1.0}, 32, "Otters eat fish and are happy."),
        ({"eat": 1.0, "owl": 9.0}, 20, "Owls hoot at night."),
        ({"fish": 1.0}, 20, "Otters eat fish a..."),
        ({}, 25, "On owls: Otters swim."),
        ({"owl": 1.0}, 2, ".."),
        ({"owl": 1.0}, 0, ""),
    ],
)
def test_a_passage_is_the_part_that_has_the_rare_words(weights: dict[str, float], longest: int, expected: str) -> None:
    assert passage(TEXT, weights, longest) == expected
    assert len(expected) <= longest
