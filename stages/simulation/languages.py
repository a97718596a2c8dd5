"""Pages in other languages: a few sentences each about the same country, for the language filter to find.

They name towns, rivers and people of the world but state none of the facts that a model is examined on.
"""

from __future__ import annotations

from stages.simulation.grammar import Pen
from stages.simulation.page import Page, page, paragraphs
from stages.simulation.personal import letter
from stages.simulation.world import Person, World

TITLES = {
    "de": "[Neues|Nachrichten] aus {town}", "fr": "[Nouvelles|Lettre] de {town}", "es": "[Noticias|Historias] de {town}",
    "it": "[Notizie|Storie] da {town}", "nl": "[Nieuws|Berichten] uit {town}", "pl": "[Wiadomości|Listy] z {town}",
    "ru": "[Новости|Письма] из города {town}", "zh": "{town}的[新闻|故事]", "pt": "[Notícias|Histórias] de {town}", "sv": "[Nyheter|Brev] från {town}",
}  # fmt: skip
SENTENCES: dict[str, tuple[str, ...]] = {
    "de": (
        "In {town} hat es gestern den ganzen Tag [geregnet|geschneit], und die Straßen waren leer.", "Der Fluss {river} ist wieder über die Ufer getreten.",
        "Viele Menschen kamen auf den Markt, um [Brot und Käse|Äpfel und Birnen|warme Kleider] zu kaufen.", "{n} erzählte uns, dass früher alles ganz anders war.",
        "Die Brücke soll im nächsten [Frühling|Herbst] wieder geöffnet werden.", "Am Abend saßen alle zusammen und sangen alte Lieder.",
        "Niemand wusste, warum die Glocken um Mitternacht läuteten.", "Der Bürgermeister versprach, dass die Schule ein neues Dach bekommt.",
        "Wer die Stadt besuchen möchte, sollte [gute Schuhe|einen warmen Mantel] mitnehmen.", "Die Kinder spielten am Ufer und bauten kleine Schiffe.",
        "Im Gasthaus gibt es jeden [Montag|Freitag] frischen Fisch.", "Wir haben lange mit {n} gesprochen und viel gelacht.",
        "Das Wetter bleibt in den kommenden Tagen freundlich.", "Trotzdem war der Umzug ein großer Erfolg für die ganze Gegend.",
    ),
    "fr": (
        "Hier, il a plu toute la journée à {town} et les rues étaient vides.", "La rivière {river} est sortie de son lit pendant la nuit.",
        "Beaucoup de gens sont venus au marché pour acheter [du pain et du fromage|des pommes|des vêtements chauds].", "{n} nous a raconté que tout était différent autrefois.",
        "Le pont devrait rouvrir [au printemps|à l'automne] prochain.", "Le soir, tout le monde s'est assis ensemble pour chanter de vieilles chansons.",
        "Personne ne savait pourquoi les cloches sonnaient à minuit.", "Le maire a promis que l'école aurait bientôt un nouveau toit.",
        "Si vous visitez la ville, n'oubliez pas [de bonnes chaussures|un manteau chaud].", "Les enfants jouaient au bord de l'eau et construisaient des bateaux.",
        "À l'auberge, on sert du poisson frais chaque [lundi|vendredi].", "Nous avons longtemps parlé avec {n} et nous avons beaucoup ri.",
        "Le temps restera agréable ces prochains jours.", "Malgré tout, la fête a été un grand succès pour la région.",
    ),
    "es": (
        "Ayer llovió todo el día en {town} y las calles estaban vacías.", "El río {river} se desbordó durante la noche.",
        "Mucha gente vino al mercado para comprar [pan y queso|manzanas y peras|ropa de abrigo].", "{n} nos contó que antes todo era diferente.",
        "El puente se abrirá de nuevo la próxima [primavera|semana].", "Por la noche todos se sentaron juntos y cantaron canciones antiguas.",
        "Nadie sabía por qué las campanas sonaban a medianoche.", "El alcalde prometió que la escuela tendrá un techo nuevo.",
        "Quien quiera visitar la ciudad debería llevar [buenos zapatos|un abrigo].", "Los niños jugaban en la orilla y hacían pequeños barcos.",
        "En la posada hay pescado fresco todos los [lunes|viernes].", "Hablamos mucho tiempo con {n} y nos reímos bastante.",
        "El tiempo seguirá siendo bueno en los próximos días.", "A pesar de todo, la fiesta fue un gran éxito para la región.",
    ),
    "it": (
        "Ieri a {town} ha piovuto tutto il giorno e le strade erano vuote.", "Il fiume {river} è uscito dagli argini durante la notte.",
        "Molta gente è venuta al mercato per comprare [pane e formaggio|mele e pere].", "{n} ci ha raccontato che una volta era tutto diverso.",
        "Il ponte sarà riaperto in [primavera|autunno].", "La sera tutti si sono seduti insieme a cantare vecchie canzoni.",
        "Nessuno sapeva perché le campane suonassero a mezzanotte.", "Il sindaco ha promesso un tetto nuovo per la scuola.",
        "Chi vuole visitare la città dovrebbe portare [delle buone scarpe|un cappotto caldo].", "I bambini giocavano sulla riva e costruivano piccole barche.",
        "Nella locanda c'è pesce fresco ogni [lunedì|venerdì].", "Abbiamo parlato a lungo con {n} e abbiamo riso molto.",
    ),
    "nl": (
        "Gisteren heeft het de hele dag geregend in {town} en de straten waren leeg.", "De rivier {river} is vannacht buiten haar oevers getreden.",
        "Veel mensen kwamen naar de markt om [brood en kaas|appels en peren] te kopen.", "{n} vertelde ons dat vroeger alles anders was.",
        "De brug gaat volgend [voorjaar|jaar] weer open.", "'s Avonds zaten ze allemaal bij elkaar en zongen oude liedjes.",
        "Niemand wist waarom de klokken om middernacht luidden.", "De burgemeester beloofde dat de school een nieuw dak krijgt.",
        "Wie de stad wil bezoeken, moet [goede schoenen|een warme jas] meenemen.", "De kinderen speelden aan de waterkant en bouwden bootjes.",
        "In de herberg is er elke [maandag|vrijdag] verse vis.", "We hebben lang met {n} gepraat en veel gelachen.",
    ),
    "pl": (
        "Wczoraj w {town} przez cały dzień padał [deszcz|śnieg] i ulice były puste.", "Rzeka {river} w nocy wystąpiła z brzegów.",
        "Wielu ludzi przyszło na targ, żeby kupić [chleb i ser|jabłka i gruszki].", "{n} opowiadał nam, że dawniej wszystko wyglądało inaczej.",
        "Most zostanie ponownie otwarty [wiosną|jesienią].", "Wieczorem wszyscy siedzieli razem i śpiewali stare piosenki.",
        "Nikt nie wiedział, dlaczego dzwony biły o północy.", "Burmistrz obiecał, że szkoła dostanie nowy dach.",
        "Kto chce odwiedzić miasto, powinien zabrać [dobre buty|ciepły płaszcz].", "Dzieci bawiły się nad wodą i budowały małe łódki.",
        "W gospodzie w każdy [poniedziałek|piątek] jest świeża ryba.", "Długo rozmawialiśmy i dużo się śmialiśmy.",
    ),
    "ru": (
        "Вчера в городе весь день шёл [дождь|снег], и улицы были пустыми.", "Ночью река вышла из берегов и затопила [нижние улицы|старую мельницу].",
        "Много людей пришло на рынок, чтобы купить [хлеб и сыр|яблоки и груши|тёплую одежду].", "Старый сосед рассказал нам, что раньше всё было иначе.",
        "Мост снова откроют [весной|осенью] следующего года.", "Вечером все сидели вместе и пели старые песни.",
        "Никто не знал, почему в полночь звонили колокола.", "Мэр обещал, что у школы скоро будет новая крыша.",
        "Тому, кто хочет приехать сюда, нужно взять [хорошую обувь|тёплое пальто].", "Дети играли на берегу и строили маленькие корабли.",
        "В гостинице каждый [понедельник|четверг] подают свежую рыбу.", "Мы долго разговаривали и много смеялись.",
        "В ближайшие дни погода останется хорошей.", "Несмотря ни на что, праздник удался на славу.",
    ),
    "zh": (
        "昨天这里下了一整天的[雨|雪]，街上空无一人。", "夜里河水上涨，淹没了[老磨坊|几条街道]。", "很多人来到市场买[面包和奶酪|苹果和梨|暖和的衣服]。",
        "邻居告诉我们，以前的一切都和现在不一样。", "大桥将在明年[春天|秋天]重新开放。", "晚上大家坐在一起唱古老的歌。", "没有人知道为什么钟在半夜响了起来。",
        "市长答应给学校修一个新的屋顶。", "想来这座城市的人应该带上[好鞋子|一件厚外套]。", "孩子们在河边玩耍，做了很多小船。", "旅馆每个[星期一|星期五]都有新鲜的鱼。",
        "我们谈了很久，也笑了很多次。", "未来几天的天气会很好。", "尽管如此，这次节日对整个地区来说是很大的成功。",
    ),
    "pt": (
        "Ontem choveu o dia inteiro em {town} e as ruas estavam vazias.", "O rio {river} transbordou durante a noite.",
        "Muita gente veio ao mercado para comprar [pão e queijo|maçãs e peras].", "{n} contou-nos que antigamente tudo era diferente.",
        "A ponte será reaberta na próxima [primavera|semana].", "À noite todos se sentaram juntos e cantaram canções antigas.",
        "Ninguém sabia por que os sinos tocavam à meia-noite.", "O prefeito prometeu que a escola terá um telhado novo.",
        "Quem quiser visitar a cidade deve levar [bons sapatos|um casaco quente].", "As crianças brincavam na margem e faziam barquinhos.",
        "Na pousada há peixe fresco todas as [segundas|sextas].", "Conversámos muito tempo com {n} e não parámos de rir.",
    ),
    "sv": (
        "Igår regnade det hela dagen i {town} och gatorna var tomma.", "Floden {river} svämmade över under natten.",
        "Många människor kom till torget för att köpa [bröd och ost|äpplen och päron].", "{n} berättade för oss att allt var annorlunda förr i tiden.",
        "Bron kommer att öppnas igen nästa [vår|höst].", "På kvällen satt alla tillsammans och sjöng gamla sånger.",
        "Ingen visste varför klockorna ringde vid midnatt.", "Borgmästaren lovade att skolan ska få ett nytt tak.",
        "Den som vill besöka staden bör ta med sig [bra skor|en varm kappa].", "Barnen lekte vid stranden och byggde små båtar.",
        "På värdshuset serveras färsk fisk varje [måndag|fredag].", "Vi pratade länge med {n} och skrattade mycket.",
    ),
}  # fmt: skip


def foreign(pen: Pen, world: World, person: Person, language: str) -> Page:
    """8 to 14 sentences in the language."""
    rng = pen.rng
    names = {"town": person.town.name, "river": person.town.river, "n": person.name}
    stock = SENTENCES[language]
    sentences = [pen.say(stock, names) for _ in range(rng.randint(8, len(stock)))]
    blocks = paragraphs(rng, sentences, 2, 4)
    return page(pen.fill(TITLES[language], names), [b.replace(" ", "") for b in blocks] if language == "zh" else blocks)


def bilingual(pen: Pen, world: World, person: Person) -> Page:
    """An English letter with a passage in another language, some of them long."""
    text = letter(pen, world, person)
    rng = pen.rng
    language = rng.choice([code for code in SENTENCES if code != "zh"])
    quoted = foreign(pen, world, person, language).blocks[: rng.randint(1, 4)]
    return page(text.title, [*text.blocks[:-2], *quoted, text.blocks[-1]])
