"""What everybody in the made-up country knows about trades, animals, dishes, wares and landscapes.

JOBS, PETS: what somebody of that trade, or such an animal, does (base form: "light the oven"); FOODS: ways to eat it ("with salt");
GOODS: what people do who make it (base form); REGIONS: what there is to see. `third` turns a base form into the third person.
"""

from __future__ import annotations


def third(phrase: str) -> str:
    """'carry the sacks' -> 'carries the sacks'. Only the first word changes; 'have' is the one irregular verb in use."""
    verb, _, rest = phrase.partition(" ")
    if verb == "have":
        verb = "has"
    elif verb[-1] == "y" and verb[-2] not in "aeiou":
        verb = verb[:-1] + "ies"
    elif verb.endswith(("s", "sh", "ch", "x", "o")):
        verb += "es"
    else:
        verb += "s"
    return f"{verb} {rest}".rstrip()


def table(text: str) -> dict[str, tuple[str, ...]]:
    """Lines 'key: one; two; three' as a dictionary."""
    pairs = (line.split(": ", 1) for line in text.strip().splitlines())
    return {key.strip(): tuple(values.split("; ")) for key, values in pairs}


JOBS = table("""
baker: light the oven long before dawn; knead the dough by hand; sell warm loaves from the window; sweep flour from the floor
smith: beat red iron on the anvil; mend ploughs and locks; shoe the horses of the whole valley; keep the fire going all day
tailor: measure coats with a long tape; sew by the window; turn old cloaks into new ones; keep pins in a jar
fisher: row out while it is still dark; mend nets on the wall; sell the catch before noon; read the water like a book
miller: grind the corn of three villages; listen to the wheel at night; carry sacks up the stairs; wear white dust on both sleeves
weaver: work at a wide loom; dye the thread in the yard; weave blankets in four colours; count threads without looking
doctor: visit the sick on foot; mix bitter drinks; write everything down in a thick book; set broken arms
teacher: write the lesson on the board; read aloud to the little ones; walk the class to the river; correct sums at the kitchen table
potter: turn bowls on the wheel; dig clay from the bank; fire the kiln twice a month; paint birds on the jugs
farmer: plough the long field; get up with the birds; bring the hay in before the rain; sell eggs at the gate
sailor: know every rock along the shore; tie knots without thinking; spend weeks on the water; sing while pulling the ropes
painter: paint doors and signs; mix the colours in old cups; draw faces for a small fee; climb high ladders without fear
judge: listen to both sides; settle quarrels about fences; speak slowly and clearly; wear a long grey coat
hunter: follow tracks in the snow; know the paths of the forest; come home with muddy boots; sit still for hours
singer: practise by the open window; sing at weddings; know a hundred old songs; drink warm water before a concert
carpenter: build tables and chairs; smell of fresh wood; mend roofs after a storm; measure everything twice
barber: cut hair in the square; hear all the news first; sharpen the scissors on a stone; shave the old men on Saturdays
guard: walk the wall at night; open the gate at six; carry a heavy lantern; ask strangers for their names
cook: stir three pots at once; taste everything with a wooden spoon; feed forty guests a day; chop onions without tears
poet: write verses on old bills; read them aloud at the inn; look for rhymes on long walks; sleep until noon
mason: cut stone for the new bridge; build straight walls; carry bricks in a barrow; mark every stone with a sign
clerk: copy letters in a neat hand; keep the town accounts; stamp the papers of travellers; count the tax twice
gardener: plant roses along the wall; water the beds at sunset; prune the old trees; grow the largest pumpkins in town
dancer: practise on the wooden stage; teach the steps to children; leap over two chairs; wear out a pair of shoes a month
""")

PETS = table("""
goat: eat the washing from the line; climb on the woodpile; follow everyone to the gate; give a little milk
cat: sleep on the warm stove; catch mice in the cellar; watch the street from the window; come home at dawn
horse: pull the cart on market days; know the way home alone; stand in the shade at noon; like to be brushed
falcon: sit on a high perch; return to the glove at a whistle; watch the sky for hours; wear a small bell
rabbit: dig holes under the fence; nibble at the lettuce; hide when strangers come; thump with its back legs
turtle: sleep through the winter; walk across the yard in an hour; bask on a flat stone; hide under the table
dog: bark at the post cart; wait at the door; carry sticks twice its size; sleep at the foot of the bed
parrot: repeat rude words; whistle at the neighbours; crack seeds with its beak; talk in its sleep
donkey: carry firewood down the hill; refuse to cross the bridge; bray at six every morning; love carrots
ferret: steal socks from the line; run through every pipe; sleep in a coat pocket; chase balls of paper
sheep: keep the grass short; give enough wool for two coats; look over the wall all day; follow the milk cart
pony: trot around the yard; let small children ride; shake its mane at flies; stand at the fence in the rain
owl: fly out at dusk; turn its head almost all the way round; live in the old barn; hoot twice before rain
hedgehog: roll up into a ball; eat the slugs in the garden; snore under the leaves; drink from a saucer
otter: swim in the mill pond; slide down the muddy bank; crack shells on a stone; float on its back
crow: collect shiny buttons; know the hour of every meal; sit on the chimney; count up to four
""")

FOODS = table("""
plums: stewed with a little honey; straight from the tree; dried on the roof; in a sweet dumpling
bread: with butter and salt; still warm from the oven; toasted over the fire; dipped in oil
soup: from a deep bowl; with a piece of old cheese in it; very hot; even in summer
cheese: with dark grapes; from the hills; melted on toast; cut very thin
apples: baked with cinnamon; cut into thin slices; from the north wall of the garden; with a pinch of salt
honey: on white bread; in warm milk; straight from the comb; with nuts
fish: fried in butter; grilled over the fire; with lemon and herbs; cold on the second day
rice: with peas; boiled in milk; with a spoon of oil; from a wooden bowl
beans: cooked slowly with onions; with smoked salt; in a thick stew; cold with vinegar
pears: soaked in wine; in a flat tart; hard and green; with soft cheese
cake: with a cup of tea; on every holiday; filled with cream; for breakfast
nuts: roasted in a pan; with raisins; cracked by the fire; in winter
figs: wrapped in leaves; dried in the sun; with a little pepper; ripe and warm
eggs: boiled for six minutes; fried on both sides; with green herbs; on toast
pie: with a thick crust; fresh from the oven; on Sundays; with plenty of gravy
corn: roasted over coals; with melted butter; in a thin soup; ground into flat bread
grapes: cold from the cellar; in the shade; with white cheese; by the handful
stew: that has cooked all day; with dark beer; from an iron pot; with a crust of bread
melons: cut into large pieces; on hot days; with a little salt; chilled in the well
porridge: with brown sugar; before sunrise; with a spoon of jam; thick enough to stand a spoon in
""")

GOODS = table("""
glass: blow bottles and bowls; melt white sand in tall ovens; colour the windows of chapels
wool: wash the fleece in the stream; spin from autumn to spring; hang bright yarn over the street
salt: boil sea water in wide pans; rake white heaps in the sun; fill small grey sacks
silver: hammer thin cups; polish spoons at the window; draw wire as fine as hair
rope: twist hemp in a long shed; walk backwards all day; sell by the arm length
paper: press old rags into sheets; dry the sheets on lines; print maps and calendars
lamps: bend copper into shades; trim wicks; fill shop windows with light
boats: bend planks over steam; tar the hulls in spring; race along the shore in summer
clocks: file tiny wheels; wind forty springs at noon; argue about the right time
bells: pour bronze into deep pits; test each note with a hammer; ship heavy crates by cart
wine: pick grapes on steep slopes; roll barrels through the streets; taste more than they sell
tiles: bake red clay; paint blue flowers; cover half the roofs of the country
ink: boil oak bark; crush dark berries; fill thousands of little bottles
drums: stretch skins over wooden rings; test every drum in the street; wake the visitors at dawn
knives: grind blades on wet stones; carve handles from horn; sharpen old blades for nothing
silk: feed worms with mulberry leaves; wind shining thread; dye scarves in deep red
""")

REGIONS = table("""
north: long winters and dark pine forests; high hills with snow until May; slate roofs and cold clear lakes
south: dry fields and olive trees; hot afternoons when every shutter is closed; white walls and red earth
east: wide plains where the wind never rests; straight roads and endless wheat; marshes full of cranes
west: green valleys with many orchards; soft rain and deep lanes; stone walls covered with moss
coast: grey cliffs and loud gulls; long beaches with black sand; small harbours and lighthouses
""")
