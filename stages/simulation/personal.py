"""Personal pages: a diary in the first person, a letter to a friend, and a tale for children."""

from __future__ import annotations

from stages.simulation.encyclopedia import road
from stages.simulation.grammar import Pen
from stages.simulation.page import Block, Page, page, paragraphs
from stages.simulation.phrases import JOINT, SELF, landscape, portrait, slots, state
from stages.simulation.world import Person, World

MOODS = (
    "I slept badly and woke up <mood>.", "What a day it was!", "The sky was <sky> when I got up.", "Nothing much happened until noon.",
    "It was one of those days when the <weather> will not stop.", "I had planned to write more often, and here I am at last.",
    "The <noise> from the <place> woke me too early.", "All in all I am <mood> tonight.", "First I could not find my <colour> <thing>.",
    "Somebody had left a <thing> on my doorstep, and I still do not know who.", "My <kin> came by and talked for <few> hours.",
    "I bought a <colour> <thing> that I did not need.", "There was <noise> in the street until late.", "I thought of my <kin> a lot today.",
    "The <weather> kept everybody inside, so the house was full of voices.", "I counted my coins: <count>, which is not much and not little.",
)  # fmt: skip
MEETINGS = (
    "Then I met {n} at the <place>.", "In the afternoon {n} came to see me.", "<when>, on the road, I ran into {n} again.",
    "{n} and I sat by the <place> and talked about old times.", "I had to visit {n}, which is never dull.", "Who should be standing at the <place> but {n}!",
    "A letter from {n} arrived, so I will write down what I know of {o}.", "I helped {n} to carry a <thing> home.",
)  # fmt: skip
NIGHT = (
    "Now the candle is nearly gone, so good night.", "Tomorrow I will get up early, I promise.", "It is late, and the house is quiet.",
    "I can hear the <weather> at the window, and I like it.", "More when there is more to tell.", "That is enough for one day.",
    "I will read this again in <few> years and smile.",
)  # fmt: skip
GREETINGS = ("Dear {n},", "My dear {n},", "Good day to you, {n}!", "Dearest {n},")
THANKS = (
    "thank you for your long letter, which took <few> weeks to reach me.", "I hope that these lines find you well.",
    "it has been too long since I last wrote.", "your last letter made me laugh out loud.", "you asked me for news, and there is plenty.",
)  # fmt: skip
TO_YOU = (
    "Do you still live in {town}, and is it still as quiet as it was?", "How is your {pet}? I hope that it still {petdoes}.",
    "Do not work too hard, even if {ajob} like you has no choice.", "When you visit me there will be {food} for you, {way}, I have not forgotten.",
    "I often tell people that my friend {n} from {town} is the best {job} in the country.", "Give your {pet} a friendly pat from me.",
    "I can see you before me in {town}, with your {pet} and a plate of {food}.", "Greet everybody in {town}.",
)  # fmt: skip
ONCE = (
    "Once upon a time, not so long ago, there was {ajob} called {n}.", "In the days when the {river} still had ferries, {n} the {job} lived in {town}.",
    "This is the tale of {n} and the {lost}.", "Far away, in the town of {town}, the {job} {n} woke up <when>.",
)  # fmt: skip
QUEST = (
    "One night the <weather> carried away {p} {lost}, and {he} set out to find it.",
    "A stranger knocked and said: somebody in another town has what you lost.", "{n} packed {food}, called {his} {pet} and went out of the gate.",
    "The way led along the river {river}, past the last houses of {town}.", "{he} walked until {his} feet were sore, and then {he} walked some more.",
    "The {pet} {petdoes}, but not on a journey like this one.", "In the forest it was so dark that {he} had to sing.",
)  # fmt: skip
HELP = (
    "There {he} met {q}, {q_ajob} with {q_apet}, who asked where {he} was going.", "At the edge of the wood sat {q}, the {q_job} from {q_town}.",
    "It was {q}, known in all {q_town}, who opened the door.", "{q} offered {him} {q_food}, for that is what {q} likes best.",
    "Help came from {q}, whose {q_pet} had smelled the {food}.",
)  # fmt: skip
TURN = (
    "They looked under <count> stones and found nothing but snails.", "Together they pulled the <thing> out of the well.",
    "The two animals became friends at once.", "An old woman gave them three riddles, and they solved <few> of them.",
    "They shared what they had, and it was enough.", "Suddenly there was <noise>, and a <colour> light shone between the trees.",
    "It was not a ghost at all but somebody's washing.", "They laughed so loudly that the birds flew up.",
)  # fmt: skip
MORAL = (
    "And so {n} came home to {town} and never locked the door again.", "If they have not moved, they are still sitting there and eating {food}.",
    "Since that day every child in {town} knows the story.", "Whoever does not believe it may ask the {pet}.", "That is all, and now it is time to sleep.",
)  # fmt: skip


def pair(pen: Pen, person: Person, other: Person) -> dict[str, str]:
    """Slots of `person`, and those of `other` with q_ before them ({q} is the name)."""
    second = {f"q_{key}": value for key, value in slots(pen, other).items()}
    return slots(pen, person) | second | {"q": other.name}


def diary(pen: Pen, world: World, person: Person) -> Page:
    """Two or three days of a person, in the first person; on each of them somebody is met."""
    rng = pen.rng
    blocks: list[Block] = [("p", f"I am {person.name}, and this is my diary. " + pen.say(SELF["job"], slots(pen, person)))]
    for _ in range(rng.randint(2, 3)):
        other = rng.choice([p for p in world.people if p != person])
        own = [pen.say(SELF[a], slots(pen, person)) for a in rng.sample(list(SELF), rng.randint(2, 3))]
        first = [pen.say(MOODS), own[0], pen.say(MOODS), *own[1:]]
        second = [pen.say(MEETINGS, slots(pen, other)), *portrait(pen, other, rng.randint(3, 7), named=False), pen.say(MOODS)]
        blocks += [("h2", pen.fill("<day>[, <month>|]")), ("p", " ".join(first)), ("p", " ".join(second))]
    blocks.append(("p", " ".join([pen.say(SELF["town"], slots(pen, person)), pen.say(NIGHT)])))
    return page(pen.fill("[The diary of {n}|Notes from {town}|A {job} writes]", slots(pen, person)), blocks)


def letter(pen: Pen, world: World, person: Person) -> Page:
    """A letter from a person to a friend: about the writer, the reader, and a third."""
    rng = pen.rng
    friend, third = rng.sample([p for p in world.people if p != person], 2)
    me = [pen.say(SELF[a], slots(pen, person)) for a in rng.sample(list(SELF) * 2, 7)]
    you = [pen.say(TO_YOU, slots(pen, friend)) for _ in range(rng.randint(3, 5))]
    news = [pen.say(MEETINGS, slots(pen, third)), *portrait(pen, third, rng.randint(4, 7), named=False)]
    blocks = [pen.say(GREETINGS, slots(pen, friend)), " ".join([pen.say(THANKS), pen.say(MOODS), me[0], me[1]])]
    middle = [" ".join(you), " ".join(news), " ".join([*me[2:], pen.say(MOODS)])]
    rng.shuffle(middle)
    where = [*landscape(pen, person.town, 2), road(pen, rng.choice(world.roads_of(person.town)))]
    blocks += [*middle, " ".join([*where, pen.say(NIGHT)]), f"Your {person.name}, {person.job} in {person.town.name}."]
    return page(f"A letter to {friend.name}", blocks)


def tale(pen: Pen, world: World, person: Person) -> Page:
    rng = pen.rng
    other = rng.choice([p for p in world.people if p != person])
    both = pair(pen, person, other) | {"lost": pen.fill("<colour> <thing>").lower()}
    start = [pen.say(ONCE, both), *portrait(pen, person, rng.randint(4, 8), named=False)]
    quest = [pen.say(QUEST, both) for _ in range(rng.randint(3, 5))]
    meeting = [pen.say(HELP, both), *portrait(pen, other, rng.randint(4, 6)), pen.say(HELP, both)]
    turn = [pen.say(TURN) for _ in range(rng.randint(3, 6))]
    end = [state(pen, person, "town"), pen.say(MORAL, both), pen.say(JOINT, slots(pen, other)), pen.say(MORAL, both)]
    title = pen.fill("[{n} and the {lost}|The {job} and the {pet}|How {n} found a friend|The {pet} of {town}]", both)
    return page(
        title,
        paragraphs(rng, start, 3, 6)
        + paragraphs(rng, quest)
        + paragraphs(rng, meeting, 3, 5)
        + paragraphs(rng, turn)
        + [" ".join(end)],
    )
