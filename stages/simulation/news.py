"""Newspaper articles: something happened in a town, somebody saw it, and this is who they are."""

from __future__ import annotations

from dataclasses import dataclass

from stages.simulation.encyclopedia import LIFE_IN_TOWN, road
from stages.simulation.grammar import Pen
from stages.simulation.page import Page, page, paragraphs
from stages.simulation.phrases import JOINT, aside, landscape, portrait, slots, town_slots
from stages.simulation.world import Person, World


@dataclass(frozen=True)
class Event:
    titles: tuple[str, ...]
    leads: tuple[str, ...]
    story: tuple[str, ...]


EVENTS = (
    Event(
        ("{pet} of {n} found after <few> days", "Lost {pet} is back in {town}", "The long walk of {apet}"),
        ("The {pet} that belongs to {n}, the {job} from {town}, came home <when> after <few> days in the woods.",
         "All of {town} had looked for it: <when> the {pet} of {n} was found near the river {river}."),
        ("It had slipped through an open gate during the <weather>.", "Children put up <count> notices, each with a drawing of the {pet}.",
         "Two fishers heard it first and called for help.", "It was hungry, wet and in a bad mood, but not hurt.",
         "{n} had not slept since <day> and had left the door open every night.", "A reward of <count> coins was promised and has been paid.",
         "The {pet} {petdoes} again, as if nothing had happened.", "How it crossed the water, nobody can say."),
    ),
    Event(
        ("Flood in {town}", "The {river} leaves its bed", "High water reaches the <place> of {town}"),
        ("The river {river} rose by <few> feet <when> and flooded the lower streets of {town}.",
         "After <count> days of rain the {river} came over its banks at {town}."),
        ("The water reached the steps of the <place> before it fell again.", "Nobody was hurt, but <count> cellars are full of mud.",
         "Boats were used to bring bread to the old people.", "Stocks of {good} were carried upstairs in time.",
         "The school stayed closed, which few of the children regretted.", "Neighbours formed a chain and passed sacks of sand from hand to hand.",
         "The damage will be counted when the streets are dry.", "An old mark on the wall shows that it has been worse."),
    ),
    Event(
        ("{n} wins the prize of {town}", "A {job} takes the cup", "Prize for {n}"),
        ("{n}, {ajob} from {town}, won the great prize of the fair <when>.", "The prize for the best {job} of the year goes to {n} from {town}."),
        ("The jury needed less than an hour.", "There were <count> others in the contest, some of them from far away.",
         "The prize is a <colour> cup and a year of free {food}.", "Last year the cup went to the other side of the river.",
         "The crowd cheered so loudly that the horses shied.", "{n} thanked everybody, lifted the cup and nearly dropped it.",
         "Even the {pet} seemed to be proud.", "The judges praised the care and the patience behind the work."),
    ),
    Event(
        ("Market day in {town}", "Good business at the fair", "Crowds at the market of {town}"),
        ("More than <count> hundred visitors came to the market of {town} <when>.", "The great <season> market has filled the streets of {town} again."),
        ("The first carts rolled in while it was still dark.", "Above all it was {good} that people wanted to buy.",
         "By noon there was hardly any left.", "A stall with {food} had the longest queue.", "Prices were a little higher than last year.",
         "A thief was caught with <count> spoons in his boots.", "Musicians played, and some of the guests danced in the <weather>.",
         "In the evening the square was swept by <count> volunteers."),
    ),
    Event(
        ("New bridge at {town}", "A bridge for {town}", "The old bridge is open again"),
        ("The bridge over the {river} at {town} was opened again <when>.", "After <few> years of work, {town} has a new bridge over the {river}."),
        ("It is made of stone and rests on <few> arches.", "Carts may cross from six in the morning until sunset.",
         "The ferry, which had run for a hundred years, made its last trip.", "A goose was the first to walk across, before any of the speakers.",
         "The money came from the trade in {good}.", "Some people complained about the toll, and some about the speeches.",
         "A brass plate names everybody who carried a stone.", "The next repair is planned for the day after never, the mayor joked."),
    ),
    Event(
        ("Strange lights over {town}", "What was seen above the <place>?", "Lights in the sky"),
        ("People in {town} saw <few> <colour> lights above the <place> <when>.", "A strange light stood over the hills near {town} <when>."),
        ("It moved slowly and made no sound.", "Dogs barked, and the owls were silent.", "By the time the teacher had fetched a telescope it was gone.",
         "Some think of lamps on the other bank, others of falling stars.", "The guard at the gate wrote the hour into his book.",
         "A child made a drawing, which now hangs in the <building>.", "The inn was full until late because nobody wanted to walk home alone.",
         "Experts expect that it will come back, or that it will not."),
    ),
    Event(
        ("A concert in {town}", "Music by the {river}", "Songs for a new roof"),
        ("A concert for the roof of the <building> filled every bench in {town} <when>.", "With drums, songs and a <mood> choir, {town} welcomed the <season> <when>."),
        ("The choir had practised for <few> months.", "Halfway through, a <colour> curtain fell on the flutes.",
         "Nobody left, although the rain came in.", "The money that was collected will pay for half of the roof.",
         "Guests had come from <few> towns, most of them on foot.", "After the last song there was {food} for all.",
         "A small boy asked for the song about the {pet}, and got it twice.", "The next concert will take place in <month>."),
    ),
    Event(
        ("{town} elects a new council", "New faces in the council of {town}", "{town} has voted"),
        ("The people of {town} elected a new council <when>.", "{town} has a new council: the votes were counted <when> in the <building>."),
        ("Of <count> seats, <few> go to newcomers.", "The count was slow because the candles went out.",
         "The price of {good} had been the great question of the campaign.", "A second question was who has to clean the <place>.",
         "In the end a <few> vote lead was enough.", "The old mayor gave up the key with a joke and a tear.",
         "The first meeting is on <day>, and it is open to all.", "Promises were made about roads, lamps and free {food}."),
    ),
)  # fmt: skip

QUOTES = (
    '"{line}," said {who}.', '"{line}," {whoever} told this newspaper.', 'As {whoever} put it: "{line}."', '"{line}," {whoever} [explained|added|remembered].',
)  # fmt: skip
LINES = (
    "I have [never|not often] seen anything like it", "We [all|simply] did what had to be done", "It was [over|finished] before I had put on my boots",
    "[Next|This] year we will be better prepared", "I would [do it|come] again tomorrow", "My <kin> used to tell stories about such days",
    "I [only|just] came to buy a <thing>, and then this", "You should have heard the <noise>", "At first I thought it was a joke",
    "Somebody had to begin, so I began", "I am <mood>, and that is all I want to say", "We will talk about it for <few> years",
    "I was at the <place> and saw everything from there", "It is good for {town}, whatever people say", "Now I want to go home and eat {food}",
    "Ask my {pet}, it saw more than I did", "As {ajob} you get used to surprises", "In {town} we do not give up so easily",
)  # fmt: skip
ENDINGS = (
    "What comes next will be decided on <day>.", "The council meets again in <month>.", "Anyone who knows more is asked to come to the <place>.",
    "Until then, life in {town} goes on as before.", "The weather is expected to stay <sky>.", "Our newspaper will report again next week.",
    "A report with drawings can be seen in the window of the <building>.", "It was, all in all, a <good> day for {town}.",
)  # fmt: skip
BRIDGES = (
    "The name of {n} is [not new|no surprise] in these pages.", "Who is {n}?", "Readers will remember {n}.", "A few words about {n} may be useful here.",
    "{n} needs no introduction in {town}, but here is one.", "We also met {n}.", "Among those present was {n}.", "Next to the <place> stood {n}.",
)  # fmt: skip


def article(pen: Pen, world: World, person: Person) -> Page:
    rng = pen.rng
    event = rng.choice(EVENTS)
    witnesses = rng.sample([p for p in world.people if p != person], rng.randint(1, 2))

    def here(stock: tuple[str, ...]) -> str:
        return pen.say(stock, slots(pen, person))

    def quote(who: Person) -> str:
        line = pen.say(LINES, slots(pen, who))
        whoever = aside(pen, who)
        return pen.say(QUOTES, {"line": line, "who": whoever.rstrip(","), "whoever": whoever})

    title = here(event.titles)
    story = [here(event.story) for _ in range(rng.randint(4, 7))]
    blocks = [" ".join([here(event.leads), story[0]]), *paragraphs(rng, story[1:], 2, 3)]
    backgrounds = [" ".join([here(BRIDGES), *portrait(pen, person, rng.randint(4, 8))])]
    for witness in witnesses:
        backgrounds.append(
            " ".join(
                [quote(witness), pen.say(JOINT, slots(pen, witness)), *portrait(pen, witness, rng.randint(3, 6), named=False)]
            )
        )
    rng.shuffle(backgrounds)
    blocks += backgrounds
    blocks.append(
        " ".join(
            [
                *landscape(pen, person.town, rng.randint(2, 3)),
                pen.say(LIFE_IN_TOWN, town_slots(pen, person.town)),
                road(pen, rng.choice(world.roads_of(person.town))),
            ]
        )
    )
    blocks.append(" ".join([quote(person), here(ENDINGS)]))
    return page(title, blocks)
