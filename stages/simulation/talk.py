"""Pages on which several people talk: a forum thread, an interview, questions and answers about a town."""

from __future__ import annotations

from stages.simulation.encyclopedia import LIFE_IN_TOWN, road
from stages.simulation.grammar import Pen
from stages.simulation.page import Block, Page, page
from stages.simulation.phrases import JOINT, QUESTIONS, SELF, TOWN, landscape, linked, portrait, slots, state, town_slots
from stages.simulation.world import Person, World

USERS = [
    "wanderer",
    "miss_marple_tree",
    "oldcart",
    "riverrat",
    "thimble",
    "greenhat",
    "sleepy_fox",
    "northwind",
    "teapot",
    "two_left_boots",
    "paperboat",
    "lantern",
    "quill",
]
ASKING = (
    "hi all, I am new here and have a question.", "Good evening everybody, maybe somebody can help me.", "I tried to look it up but found nothing useful.",
    "Sorry if this has been asked before.", "We had an argument at the inn last night, and I want to know who was right.",
    "My <kin> says one thing, my <kin> says another.", "I am writing something for school about this.", "Planning a trip, so every hint is welcome.",
)  # fmt: skip
REPLIES = (
    "That is easy.", "I can answer that, I live [nearby|next door].", "Not sure about all of it, but I know this much.", "Good question!",
    "I was wondering about the same thing.", "As far as I know it is like this.", "Let me add something.", "My <kin> told me the following.",
    "You are both right, in a way.", "I met {o} last <season>.", "Yes, and there is more.", "Hm, I remember it a bit differently, but the main thing is clear.",
)  # fmt: skip
CHATTER = (
    "By the way, the <place> is closed on <day>.", "I was there in <month> and it was lovely.", "Do not go when there is <weather>, trust me.",
    "Bring a <thing>, you will need it.", "Last time I paid <count> coins, which is too much.", "Sorry for the typos, my candle is going out.",
    "I have a drawing somewhere, I will look for it.", "That made me laugh!", "I would not have known that.", "The <noise> there is hard to bear, though.",
    "Ask at the <place>, they know everything.", "It took me <few> days to find out.",
)  # fmt: skip
BYE = (
    "Thanks, that helped a lot!",
    "Great, thank you all.",
    "Now I know, thanks.",
    "You people are quick, thank you.",
    "Perfect, that settles it.",
)
INTRO = (
    "{n} opens the door before we knock.", "We meet {n} at the <place> of {town} on a <sky> <day>.", "It is not easy to get an hour with {n}.",
    "For our series about people of the country we spoke with {n}.", "{n} pours tea and points to a chair.",
)  # fmt: skip
SMALL = (
    ("What makes a good day?", ("No <weather>, no letters and a full pot.", "When nobody asks me for my <thing>.", "A day on which I hear <noise> from the <place>.")),
    ("Were you always so <mood>?", ("Ask my <kin>.", "No, I learned it late.", "I was <mood> as a <child>, and it did not help me.")),
    ("What would you change?", ("The price of lamps.", "I would paint the <place> <colour>.", "Nothing at all, or everything.")),
    ("What are you afraid of?", ("Of <weather>, and of people who sing before breakfast.", "Of losing my <thing>.", "Not of much any more.")),
    ("What do you read?", ("Old maps.", "The newspaper, from back to front.", "Letters, <often> more than once.")),
    ("Do you travel?", ("Only in books.", "<few> times a year, on foot.", "As far as the next inn.")),
)  # fmt: skip
ASKED = {
    "town": ("Where do you live?", "Why did you stay in {town}?", "What is it like to live in {town}?"),
    "job": ("What do you do all day?", "What is it like to be {ajob}?", "How did you become {ajob}?"),
    "pet": ("You are not alone here, are you?", "Tell us about your {pet}.", "Who is that over there?"),
    "food": ("What do you eat when you can choose?", "You like {food}, people say?", "What should one cook for you?"),
}


def forum(pen: Pen, world: World, person: Person) -> Page:
    """A question about a person and a town, three to six replies."""
    rng = pen.rng
    users = rng.sample(USERS, 4)
    asked = rng.sample(list(QUESTIONS), 2)
    question = [pen.say(ASKING), *(pen.say(QUESTIONS[a], slots(pen, person)) for a in asked), pen.say(ASKING)]
    posts = [(users[0], " ".join(question))]
    topics = [*asked, *rng.sample(list(QUESTIONS), 4)]
    others = rng.sample([p for p in world.people if p != person], 6)
    for reply in range(rng.randint(3, 6)):
        text = [
            pen.say(REPLIES, slots(pen, person)),
            state(pen, person, topics[reply]),
            state(pen, person, topics[reply - 1], pen.chance(0.5)),
        ]
        text.append(pen.say(CHATTER))
        if pen.chance(0.6):
            text += [pen.say(JOINT, slots(pen, others[reply])), *portrait(pen, others[reply], rng.randint(1, 4), named=False)]
        if pen.chance(0.5):
            text += [*landscape(pen, person.town, 1), road(pen, rng.choice(world.roads_of(person.town)))]
        posts.append((users[1 + reply % 3], " ".join(text)))
    posts.append((users[0], pen.say(BYE) + " " + pen.say(CHATTER)))
    return page(pen.say(QUESTIONS[asked[0]], slots(pen, person)), [("post", f"{user}\n{text}") for user, text in posts])


def interview(pen: Pen, world: World, person: Person) -> Page:
    rng = pen.rng
    blocks: list[Block | str] = [
        " ".join([pen.say(INTRO, slots(pen, person)), *portrait(pen, person, rng.randint(4, 7), named=False)])
    ]
    small = rng.sample(SMALL, 3)
    for number, attribute in enumerate(rng.sample(list(ASKED), 4)):
        answers = [pen.say(SELF[attribute], slots(pen, person)) for _ in range(rng.randint(2, 3))]
        blocks += [("h3", pen.say(ASKED[attribute], slots(pen, person))), " ".join(answers)]
        if number < 3:
            blocks += [
                ("h3", pen.fill(small[number][0])),
                " ".join([pen.say(small[number][1]), pen.say(SELF[attribute], slots(pen, person))]),
            ]
    other = rng.choice([p for p in world.people if p != person])
    blocks.append(" ".join([f"Next week we talk to {other.name}.", *portrait(pen, other, 5)]))
    return page(
        pen.fill("[A talk with {n}|{n}: my life as {ajob}|Ten questions for {n}|At home with {n}]", slots(pen, person)), blocks
    )


def questions(pen: Pen, world: World, person: Person) -> Page:
    """Questions and answers about a town and its people."""
    rng, town = pen.rng, person.town
    blocks: list[Block | str] = [" ".join([pen.say(LIFE_IN_TOWN, town_slots(pen, town)), *landscape(pen, town, 2)])]
    marked = pen.chance(0.5)

    def qa(question: str, answer: list[str]) -> None:
        blocks.append(" ".join(["Question:", question, "Answer:", *answer] if marked else [question, *answer]))

    for who in [person, *rng.sample([p for p in world.people if p != person], 5)]:
        for attribute in rng.sample(list(QUESTIONS), rng.randint(1, 3)):
            answer = linked(pen, [state(pen, who, attribute), state(pen, who, attribute, True)])
            qa(pen.say(QUESTIONS[attribute], slots(pen, who)), answer)
    asks = {"river": "Which river flows through {town}?", "good": "What is made in {town}?", "region": "Where is {town}?"}
    for attribute, ask in asks.items():
        qa(pen.fill(ask, town_slots(pen, town)), [pen.say(TOWN[attribute], town_slots(pen, town))])
    way = rng.choice(world.roads_of(town))
    qa(f"How far is it from {way.start.name} to {way.end.name}?", [road(pen, way)])
    return page(
        pen.fill(
            "[Questions and answers about {town}|A quiz about {town} and its people|How well do you know {town}?]",
            town_slots(pen, town),
        ),
        blocks,
    )
