import pytest

from stages.extraction.arrays import (
    AUTHOR,
    CONCEALED,
    DESCRIPTION,
    JSON_LD,
    LANGUAGE,
    OG_DESCRIPTION,
    OG_TITLE,
    OG_TYPE,
    PUBLISHED,
    SITE_NAME,
    TITLE,
)
from stages.extraction.groups import BIT
from tests.stages.extraction.lexbor import scanned


def groups_of(tag: str) -> set[str]:
    bits = int(scanned(f"<{tag}>a").elements[1]["groups"])
    return {group for group, bit in BIT.items() if bits & bit}


@pytest.mark.parametrize(
    ("tag", "groups"),
    [
        ("div", set()),
        ("nav", {"nav"}),
        ("div class=sidebar", {"side"}),
        ("div class='sidebar'", {"side"}),
        ('div class="x sidebar y"', {"side"}),
        ("div class = sidebar", {"side"}),
        ("div class\n=\n'sidebar'", {"side"}),
        ("div CLASS=SideBar", {"side"}),
        ("div data-x='>' class=sidebar", {"side"}),
        ("div data-x=a/ class=sidebar", {"side"}),
        ("div/class=sidebar/x", {"side"}),
        ("div/class=sidebar /", {"side"}),
        ("div class='sidebar'id=footer", {"side", "footer"}),
        ("div =class=sidebar class=footer", {"footer"}),
        ("div class", set()),
        ("div class=", set()),
        ("div class=sidebar class=footer", {"side"}),
        ("div class='x' class=footer", set()),
        ("div class=footer2 id=side-bar_Menu", {"footer", "side", "navigation"}),
        ("div class=entryContent", {"content"}),
        ("div class=XMLsidebar", set()),
        ("div role=navigation", {"nav"}),
        ("div role=NAVIGATION", {"nav"}),
        ("div itemprop=articleBody", {"body_property"}),
        ("div title=sidebar", set()),
        ("div classe=sidebar", set()),
    ],
)
def test_an_element_s_purpose_is_told_by_the_words_of_class_id_and_role(tag: str, groups: set[str]) -> None:
    assert groups_of(tag) == groups


@pytest.mark.parametrize(
    ("tag", "hidden"),
    [
        ("div", 0),
        ("div hidden", CONCEALED),
        ("div hidden=''", CONCEALED),
        ("div aria-hidden=true", CONCEALED),
        ("div aria-hidden=false", 0),
        ("div style='display:none'", CONCEALED),
        ("div style='color: red; DISPLAY: None;'", CONCEALED),
        ("div style='visibility:hidden'", CONCEALED),
        ("div style='display: block'", 0),
        ("div style='overflow:hidden'", 0),
        ("div style='display:'", 0),
        ("div style=':'", 0),
    ],
)
def test_attributes_conceal_an_element(tag: str, hidden: int) -> None:
    assert scanned(f"<{tag}>a").elements[1]["hidden"] == hidden


@pytest.mark.parametrize(
    ("html", "kind", "value"),
    [
        ("<title> A &amp; B </title>", TITLE, " A &amp; B "),
        ("<title>A</title><title>B</title>", TITLE, "A"),
        ("<svg><title>A</title></svg><title>B</title>", TITLE, "B"),
        ("<TITLE class=x>A</Title >", TITLE, "A"),
        ("<meta property=og:title content='A'>", OG_TITLE, "A"),
        ("<meta content='A' property=og:title />", OG_TITLE, "A"),
        ("<meta name='OG:Title' content=A/>", OG_TITLE, "A/"),
        ("<meta property=og:title content=A content=B>", OG_TITLE, "A"),
        ("<meta property=og:title content=A><meta property=og:title content=B>", OG_TITLE, "A"),
        ("<meta property=og:title content=''><meta property=twitter:title content=B>", OG_TITLE, "B"),
        ("<meta name=viewport property=og:title content=A>", OG_TITLE, "A"),
        ("<meta name=og:title>", OG_TITLE, ""),
        ("<meta name=description content='a > b'>", DESCRIPTION, "a > b"),
        ("<meta property=og:description content=A>", OG_DESCRIPTION, "A"),
        ("<meta name=author content=A>", AUTHOR, "A"),
        ("<meta property=article:published_time content=2024-01-02>", PUBLISHED, "2024-01-02"),
        ("<meta property=og:site_name content=A>", SITE_NAME, "A"),
        ("<meta property=og:type content=article>", OG_TYPE, "article"),
        ("<html lang=el><body>", LANGUAGE, "el"),
        ("<p lang=el>", LANGUAGE, ""),
        ("<script type='application/ld+json'>{}</script>", JSON_LD, "{}"),
        ("<script type=application/LD+json;charset=utf-8>{}</script>", JSON_LD, "{}"),
        ("<script type='text/javascript'>{}</script>", JSON_LD, ""),
        ("<script type='application/ld+json'>a</script><script type='application/ld+json'>b</script>", JSON_LD + 1, "b"),
        ("<script type='application/ld+json'>x</script>" * 20, JSON_LD + 7, "x"),
    ],
)
def test_the_places_of_a_page_s_metadata_are_marked(html: str, kind: int, value: str) -> None:
    start, end = scanned(html).marks[kind]
    assert html.encode()[start:end].decode() == value


def test_elements_with_the_same_tag_and_class_names_have_one_signature_whatever_their_digits() -> None:
    names = ["div class='card n1'", "div class='card n22' id=x", "div class=card", "p class='card n1'", "div class='n1 card'"]
    signatures = [int(scanned(f"<{name}>").elements[1]["signature"]) for name in names]
    assert signatures[0] == signatures[1]
    assert len(set(signatures)) == 4


@pytest.mark.parametrize("cut", range(1, 46))
def test_a_tag_that_the_page_s_end_cuts_raises_nothing(cut: int) -> None:
    whole = "<div class = 'side bar' style='display:none'>a"
    assert len(scanned(whole[:cut]).elements) == (2 if cut > 1 else 1)
