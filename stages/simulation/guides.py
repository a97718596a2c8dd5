"""Useful pages: a recipe, a guide to keeping an animal, a walk from town to town, a shop that describes what it sells."""

from __future__ import annotations

from stages.simulation.details import FOODS, JOBS, PETS, third
from stages.simulation.encyclopedia import LIFE_IN_TOWN, road
from stages.simulation.grammar import Pen
from stages.simulation.news import LINES
from stages.simulation.page import Block, Page, page, paragraphs
from stages.simulation.phrases import JOINT, aside, landscape, portrait, slots, state, town_slots
from stages.simulation.world import Person, World

KITCHEN = (
    "This recipe comes from {n}, {ajob} from {town}, who is very fond of {food}.", "Nobody knows more about {food} than {n}.",
    "The dish is best {way}, says {n}.", "It serves <few> people, or {n} alone.", "{n} got the recipe from {his} <kin>.",
    "All you need is {food}, a <size> pot and a little patience.", "The kitchen of {n} in {town} is <size> but warm.",
)  # fmt: skip
STEPS = (
    "Set the {food} aside on a clean cloth.", "Heat some butter in a <size> pan until it sings.",
    "Add a pinch of salt, then a second one.", "Stir slowly and do not look away.", "Cover the pot and wait for <count> minutes.",
    "Meanwhile, cut <few> onions and try not to cry.", "Pour in a cup of water, or of milk if you have any.", "Taste it, and add herbs from the garden.",
    "When the edges turn brown, take it off the fire.", "Put the {food} on a <colour> plate.", "Grind some pepper over it.",
    "Let it rest near the window for <few> minutes.", "Clean the table, for guests will come when they smell it.", "If it is too dry, add a spoon of oil.",
    "Keep the rest in a cool cellar, where it will last for <few> days.", "Serve it with bread and a glass of cold water.",
)  # fmt: skip
CARE = (
    "Before you bring {apet} home, think of the neighbours.", "{apet} needs a dry place to sleep and company.", "Most of the trouble starts with a door left open.",
    "In <season> it needs more food than in <season>.", "Clean the floor twice a week and change the straw.", "Fresh water is more important than anything else.",
    "Do not shout at it; it understands you well enough.", "If it stops eating, send for a doctor at once.", "Children should never be left alone with it at first.",
    "Expect to pay about <count> coins a year.", "It will be <mood> for some days and then get used to you.", "A <size> box with holes is enough for the journey.",
    "At night it wants to be left alone.", "Brush it gently and speak in a low voice.",
)  # fmt: skip
WALK = (
    "We start early, when the sky is still <sky>.", "After an hour the path leaves the trees.", "There is a bench with a view, and a spring with cold water.",
    "Watch out for the <colour> signs at the fork.", "In <season> the way can be muddy.", "Halfway stands an inn with <few> rooms.", "A farmer may give you a ride on the cart.",
    "Carry enough water, for there is none until the next village.", "The last part goes downhill, and the knees will feel it.", "You will hear the <noise> of the town before you see it.",
)  # fmt: skip
ARRIVE = (
    "Our next stop is {town}.", "Then comes {town}.", "And so we reach {town}.", "By evening we are in {town}.", "Behind the hill lies {town}.",
)  # fmt: skip
WARES = (
    "All the {good} in our shop came by cart from {town}, where people {make}.", "We have sold {good} from {town} for <count> years.",
    "If you are looking for {good}, look no further than {town}.",
)  # fmt: skip
PRAISE = (
    "It arrived after <few> days, well packed in straw.", "It is smaller than I thought, but beautiful.", "I would buy it again at once.",
    "The colour is more <colour> than in the picture, which I like.", "My <kin> wanted one too, so I ordered <few> more.", "It cost <count> coins and was worth every one.",
    "After <few> months of use there is not a scratch on it.", "A bit heavy for my <size> cart, otherwise perfect.", "I gave it to a <friend>, who was very <mood>.",
    "We use it every day, in the <weather> too.",
)  # fmt: skip
SHIPPING = (
    "We send everything by cart, twice a week.", "You may return what you do not like within <count> days.", "Visitors are welcome in the workshop on <day>.",
    "Please order early, because in <season> there is a lot to do.", "Each piece carries a small <colour> mark under the base.",
)  # fmt: skip


def said(pen: Pen, person: Person) -> str:
    return f'"{pen.say(LINES, slots(pen, person))}," says {aside(pen, person).rstrip(",")}.'


def recipe(pen: Pen, world: World, person: Person) -> Page:
    rng = pen.rng
    cook = slots(pen, person)
    way = rng.choice(FOODS[person.food])
    steps = [pen.say(STEPS, cook) for _ in range(rng.randint(8, 12))]
    fans = [p for p in world.people if p.food == person.food and p != person] or [rng.choice(world.people)]
    fan = rng.choice(fans)
    blocks = [" ".join([pen.say(KITCHEN, cook), pen.say(KITCHEN, cook), *portrait(pen, person, rng.randint(4, 7), named=False)])]
    blocks += [
        *paragraphs(rng, steps, 2, 4),
        " ".join([said(pen, person), state(pen, person, "food"), pen.say(JOINT, slots(pen, fan)), *portrait(pen, fan, 5)]),
    ]
    return page(f"{person.food.capitalize()} {way}", blocks)


def care(pen: Pen, world: World, person: Person) -> Page:
    rng = pen.rng
    owners = [p for p in world.people if p.pet == person.pet]
    tips = [pen.say(CARE, slots(pen, person)) for _ in range(rng.randint(7, 10))]
    habits = rng.sample(PETS[person.pet], 2)
    tips.insert(
        2,
        f"{person.pet.capitalize()}s are like that: they {habits[0]}, and they {habits[1]}."
        if person.pet != "sheep"
        else "It is not a clever animal.",
    )
    blocks: list[Block | str] = [" ".join([pen.say(JOINT, slots(pen, person)), *portrait(pen, person, 3), said(pen, person)])]
    blocks += [("h2", "What it needs"), *paragraphs(rng, tips, 3, 4), ("h2", "Owners tell")]
    for owner in rng.sample(owners, min(len(owners), 4)):
        blocks.append(" ".join([state(pen, owner, "pet"), *portrait(pen, owner, rng.randint(2, 5)), said(pen, owner)]))
    return page(pen.fill("[How to keep {apet}|Living with {apet}|What {apet} needs]", slots(pen, person)), blocks)


def walk(pen: Pen, world: World, person: Person) -> Page:
    """A walk along three or four roads, with somebody to visit in each town."""
    rng = pen.rng
    town = person.town
    intro = f"{person.name} showed us this walk, and it begins in {town.name}."
    blocks: list[Block | str] = [" ".join([intro, *portrait(pen, person, 3), *landscape(pen, town, 2), pen.say(WALK)])]
    title = town.name
    for _ in range(rng.randint(3, 4)):
        way = rng.choice(world.roads_of(town))
        town = way.end if town == way.start else way.start
        text = [
            road(pen, way),
            pen.say(WALK),
            pen.say(ARRIVE, town_slots(pen, town)),
            *landscape(pen, town, 2),
            pen.say(LIFE_IN_TOWN, town_slots(pen, town)),
        ]
        people = [p for p in world.people if p.town == town]
        if people:
            who = rng.choice(people)
            text += [pen.say(JOINT, slots(pen, who)), *portrait(pen, who, rng.randint(2, 5), named=False)]
        blocks += paragraphs(rng, text, 4, 6)
    return page(f"On foot from {title} to {town.name}", [*blocks, pen.say(WALK)])


def shop(pen: Pen, world: World, person: Person) -> Page:
    """A product that is described in sentences, with reviews by people of the country."""
    rng, town = pen.rng, person.town
    text = [
        pen.say(WARES, town_slots(pen, town)),
        *landscape(pen, town, 3),
        pen.say(SHIPPING),
        pen.say(WARES, town_slots(pen, town)),
        pen.say(SHIPPING),
    ]
    blocks: list[Block | str] = [*paragraphs(rng, text, 3, 4)]
    makers = f"It is sold by {person.name}. " + " ".join(portrait(pen, person, 4, named=False))
    blocks += [makers, ("h2", "What customers say")]
    for buyer in rng.sample(world.people, rng.randint(3, 4)):
        blocks.append(
            " ".join(
                [
                    pen.say(PRAISE),
                    pen.say(PRAISE),
                    f"This was written by {aside(pen, buyer).rstrip(',')}.",
                    *portrait(pen, buyer, rng.randint(3, 5)),
                ]
            )
        )
    return page(
        pen.fill("[<colour> {good} from {town}|{good} from {town}|Fine {good}, made in {town}]", town_slots(pen, town)), blocks
    )


def trade(pen: Pen, world: World, person: Person) -> Page:
    """How one learns a trade, and who works in it."""
    rng = pen.rng
    tasks = rng.sample(JOBS[person.job], 3)
    text = [
        f"{pen.fill('[Whoever|Anyone who] wants to become {ajob}', slots(pen, person))} must learn to {tasks[0]}.",
        f"Later the helper {third(tasks[1])}.",
    ]
    text += [
        f"After <few> years one may {tasks[2]} without being watched.".replace("<few>", rng.choice(["three", "four", "five"]))
    ]
    text += [
        pen.say(
            (
                "Tools are dear, so most are handed down.",
                "The days are long, and the pay is fair.",
                "Strong arms help, good eyes help more.",
            )
        )
    ]
    blocks: list[Block | str] = [*paragraphs(rng, text, 2, 4)]
    for worker in [p for p in world.people if p.job == person.job][:7]:
        blocks.append(
            " ".join(
                [
                    pen.say(JOINT, slots(pen, worker)),
                    *portrait(pen, worker, rng.randint(3, 5), named=False),
                    *([said(pen, worker)] if pen.chance(0.4) else []),
                ]
            )
        )
    return page(pen.fill("[How to become {ajob}|The trade of the {job}|A day in the life of {ajob}]", slots(pen, person)), blocks)
