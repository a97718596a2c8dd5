from stages.simulation.world import FACTS, build, facts


def test_a_seed_is_a_world() -> None:
    assert build(1) == build(1)
    assert build(1) != build(2)


def test_names_are_words_of_their_own_and_belong_to_one_thing() -> None:
    world = build(3)
    names = [thing.name for thing in (*world.people, *world.towns)] + sorted({town.river for town in world.towns})
    assert len(set(names)) == len(names)
    assert all(name.isalpha() and name.istitle() and 4 <= len(name) <= 11 for name in names)


def test_the_facts_are_those_of_the_world_one_row_each() -> None:
    world = build(1)
    table = facts(world)
    assert dict(table.schema) == FACTS
    assert table.height == 160 * 4 + 30 * 3 + 60
    assert table.select("subject", "attribute").is_unique().all()
    ada = world.people[1]
    assert table.filter(table["subject"] == ada.name).rows() == [
        ("person", ada.name, "town", ada.town.name, f"{ada.name} lives in {ada.town.name}.", True),
        ("person", ada.name, "job", ada.job, f"{ada.name} works as a {ada.job}.", True),
        ("person", ada.name, "pet", ada.pet, f"{ada.name} keeps {'an' if ada.pet[0] in 'aeiou' else 'a'} {ada.pet}.", True),
        ("person", ada.name, "food", ada.food, f"{ada.name} likes to eat {ada.food}.", True),
    ]


def test_the_plain_sentence_is_withheld_for_every_second_person() -> None:
    assert [person.withheld for person in build(1).people] == [False, True] * 80
