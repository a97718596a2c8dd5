"""Personal data on pages: e-mail and public IPv4 addresses that must go, and look-alikes that must stay."""

from __future__ import annotations

from stages.simulation.grammar import Pen
from stages.simulation.world import Person

WITH_EMAIL = (
    "Write to {x} if you know more.",
    "You can reach the author at {x} on most days.",
    "Questions about it go to {x}, please.",
    "The address of {n} is {x}, and answers take a week.",
)
WITH_IP = (
    "The server of the town hall answers at {x} again.",
    "Somebody at {x} tried to log in <count> times.",
    "The log shows a visit from {x} late at night.",
)
WITH_DECOY = {
    "version": ("The clock in the tower runs version {x} of its program.", "Since the update to {x} the bells ring on time."),
    "private": (
        "In the library the printer has the address {x}, for whatever reason.",
        "To see the lamps, open {x} from inside the house.",
    ),
    "spelled": ("If you are not a machine, write to {x} and say hello.",),
    "section": ("The rule is in section {x} of the town book.", "See chapter {x}, says the clerk."),
    "handle": ("More pictures are shown by {x} every week.",),
}


def email(pen: Pen, person: Person) -> str:
    name, place = person.name.lower(), person.town.name.lower()
    return pen.rng.choice(
        (
            f"{name}@{place}.example",
            f"{name}.{person.job}@post-{place}.example",
            f"{person.job}_{name}@{person.town.river.lower()}.example",
        )
    )


def public_ip(pen: Pen) -> str:
    """An address of a block that is in public use: 60 to 99 as the first number, none of the special ranges."""
    return ".".join(str(pen.rng.randint(low, high)) for low, high in ((70, 99), (1, 250), (1, 250), (1, 250)))


def decoy(pen: Pen, person: Person, kind: str) -> str:
    r = pen.rng
    if kind == "version":
        return ".".join(["v" + str(r.randint(1, 9)), *(str(r.randint(1, 30)) for _ in range(r.choice((2, 4))))])
    if kind == "private":
        return r.choice(
            (f"192.168.{r.randint(0, 9)}.{r.randint(2, 99)}", f"10.0.{r.randint(0, 9)}.{r.randint(2, 99)}", "127.0.0.1")
        )
    if kind == "section":  # four numbers with dots, and yet no address: a pattern can hardly tell
        return ".".join(str(r.randint(1, 19)) for _ in range(4))
    if kind == "spelled":
        return f"{person.name.lower()} at {person.town.name.lower()} dot example"
    return f"@{person.name.lower()}_{person.job}"


def contacts(pen: Pen, person: Person) -> tuple[list[str], list[str], list[str], list[str]]:
    """(sentences, emails, ips, decoys): one to three sentences that carry personal data, and now and then a look-alike."""
    sentences, emails, ips, decoys = [], [], [], []
    for _ in range(pen.rng.choice((0, 1, 1, 2))):
        emails.append(email(pen, person))
        sentences.append(pen.say(WITH_EMAIL, {"x": emails[-1], "n": person.name}))
    if pen.chance(0.4) or not emails:
        ips.append(public_ip(pen))
        sentences.append(pen.say(WITH_IP, {"x": ips[-1]}))
    if pen.chance(0.5):
        kind = pen.rng.choices(list(WITH_DECOY), (4, 4, 4, 1, 4))[0]
        decoys.append(decoy(pen, person, kind))
        sentences.append(pen.say(WITH_DECOY[kind], {"x": decoys[-1]}))
    return sentences, emails, ips, decoys
