import pytest

from models.chat.conversation import Call, Message
from models.chat.generated import Generated
from stages.evaluation.chat_judge import Question, Truth, Turn, called, right, truth
from tests.stages.evaluation.country import Country


@pytest.fixture
def world(country: Country) -> Truth:
    return truth(country.facts)


def turn(answer: str, *calls: tuple[str, str]) -> Turn:
    made = [(Call("python", text), result) for text, result in calls]
    return Turn(Generated((Message("assistant", answer),), True, ()), made)


def test_a_fact_is_right_where_the_true_value_is_named_of_the_subject(country: Country, world: Truth) -> None:
    fact = next(one for one in country.facts if one.attribute == "job")
    other = next(one for one in country.facts if one.attribute == "job" and one.value != fact.value)
    asked = Question("fact", "asked", fact.subject, fact.attribute, fact.value)
    assert right(asked, turn(fact.sentence), world)
    assert right(asked, turn(f"A {fact.value}."), world)
    assert not right(asked, turn(f"A {other.value}, not a {fact.value}."), world)
    assert not right(asked, turn(f"{other.subject} works as a {fact.value}."), world)
    assert not right(asked, turn(f"I do not know whether it is {fact.value}."), world)
    assert not right(asked, turn(""), world)


def test_nobody_is_known_where_the_answer_says_so(world: Truth) -> None:
    nobody = Question("unknown", "person", "Xandek", "job", None)
    for answer in ("I do not know.", "I don't know.", "Sorry, I do not know that."):
        assert right(nobody, turn(answer), world)
    assert not right(nobody, turn("Xandek works as a baker."), world)


def test_a_sum_is_its_number_alone_and_a_result_is_named_as_a_word(world: Truth) -> None:
    chain = Question("arithmetic", "1 step", None, None, "13")
    assert [right(chain, turn(one), world) for one in ("13", "13.", "130", "12 or 13")] == [True, True, False, False]
    result = Question("python", "spell", None, None, "o-w-l")
    assert [right(result, turn(one), world) for one in ("o-w-l", "It is o-w-l.", "b-o-w-l", "o-w-l-s")] == [
        True,
        True,
        False,
        False,
    ]


def test_identity_names_who_it_is_whatever_the_case(world: Truth) -> None:
    name = Question("identity", "name", None, None, "Winnow")
    assert right(name, turn("No, I am WINNOW."), world)
    assert not right(name, turn("I am a baker."), world)


def test_where_no_tool_is_needed_every_call_is_wrong_even_one_that_was_cut_off(world: Truth) -> None:
    idle = Question("idle", "small_talk", None, None, "Hello")
    cut = Turn(Generated((Message("assistant", "", None, Call("python", "1 +")),), False, ("no end",)), [])
    assert right(idle, turn("Goodbye"), world)
    assert not right(idle, turn("Hello", ("1", "1")), world)
    assert called(cut)
    assert not right(idle, cut, world)


def test_what_is_repeated_is_right_to_the_letter(world: Truth) -> None:
    asked = Question("repeat", "repeat", None, None, "Draf 4417 w-o-k")
    assert right(asked, turn("Draf 4417 w-o-k"), world)
    assert not right(asked, turn("Draf 4417 w-o-k."), world)
