"""What class and id names, roles and tags say of an element's purpose: groups of words, one bit each.

A name such as `entryContent main-col_2` is split at punctuation, digits and capitals into `entry`, `content`, `main`, `col`. A word may stand in
several groups; none of them decides anything, they are features that the model weighs.
"""

import numpy as np

from stages.extraction.elements import ELEMENTS, NUMBER
from stages.extraction.lookup import table

_WORDS = {
    "content": "article articlebody articlecontent articletext body bodytext content contents copy editorial entry entrycontent main "
    "maincontent markdown paragraph postbody postcontent prose richtext rte story storybody text textblock wysiwyg",
    "navigation": "breadcrumb breadcrumbs dropdown hamburger mainmenu megamenu menu menus nav navbar navi navigation pager pagination sitemap "
    "submenu subnav tabs toc toolbar topbar topnav",
    "header": "head header hero logo masthead top topbar",
    "footer": "bottom colophon copyright disclaimer foot footer legal",
    "side": "aside column left rail right secondary side sidebar sidenav widget widgets",
    "related": "also featured latest more mostread news next other others outbrain popular prev previous promo readalso readmore recent recirc "
    "recommend recommendation recommendations recommended related similar suggested taboola teaser teasers trending upsell",
    "card": "card cards carousel gallery grid slick slide slider swiper thumb thumbnail tile tiles",
    "share": "addthis email facebook follow like likes pinterest print reactions share sharethis sharing social twitter votes whatsapp",
    "comment": "comment commentary commentlist comments discussion disqus livefyre respond",
    "advertisement": "ad ads advert advertisement alert banner consent cookie cookies cta dialog donate gdpr lightbox modal newsletter notice "
    "onetrust optin overlay paywall popup privacy promotion signup sponsor sponsored subscribe subscription ticker toast",
    "byline": "author avatar bio byline categories category credit credits date info kicker labels meta posted published tag tags taxonomy "
    "timestamp",
    "caption": "caption figcaption figure image img media photo video",
    "forum": "answer answers bbcode cooked forum message messages post question replies reply thread topic",
    "product": "attributes buy cart price product quantity shipping sku spec specification specifications specs stock variant variants wishlist",
    "description": "deck desc description detail details excerpt feature features intro lead overview standfirst summary",
    "review": "rating ratings review reviews stars testimonial testimonials",
    "concealed": "collapsed hidden hide invisible none offscreen screen screenreader skip sr visually",
    "form": "account actions action btn button control controls facet facets filter filters form input login profile register search select "
    "signin sort user",
    "list": "archive catalog collection collections feed item items list listing products result results",
    "service": "accordion benefits faq faqs plan plans pricing service services steps team",
    "title": "headline heading subheading subtitle title",
}
_TAGS = {
    "nav": "nav menu",
    "page_header": "header",
    "page_footer": "footer",
    "aside": "aside",
    "main": "main",
    "article": "article",
    "form_element": "form fieldset search",
    "table": "table",
    "list_element": "ul ol dl",
    "figure": "figure figcaption",
    "section": "section",
    "quotation": "blockquote",
    "control": "button label summary",
    "heading": "h1 h2 h3 h4 h5 h6",
    "body_property": "",
    "noscript": "noscript",
    "details": "details dialog",
}
GROUPS: tuple[str, ...] = (*_WORDS, *_TAGS)
BIT: dict[str, int] = {group: 1 << number for number, group in enumerate(GROUPS)}
# Ancestors of these kinds speak against a block, those of CONTENT for it.
AGAINST = sum(
    BIT[group]
    for group in ("navigation", "header", "footer", "side", "related", "card", "share", "comment", "advertisement", "form")
)

OF_TAG = np.zeros(len(ELEMENTS) + 1, np.int64)
for _group, _names in _TAGS.items():
    for _name in _names.split():
        OF_TAG[NUMBER[_name]] |= BIT[_group]


def _masks() -> dict[str, int]:
    masks: dict[str, int] = {}
    for group, words in _WORDS.items():
        for word in words.split():
            masks[word] = masks.get(word, 0) | BIT[group]
    return masks


WORDS = table(_masks())
ROLES = table({
    role: BIT[group]
    for role, group in {
        "navigation": "nav", "menu": "nav", "menubar": "nav", "banner": "page_header", "contentinfo": "page_footer",
        "complementary": "aside", "main": "main", "article": "article", "search": "form_element", "form": "form_element",
        "dialog": "details", "alertdialog": "details", "button": "control",
    }.items()
})  # fmt: skip
PROPERTIES = table(dict.fromkeys(("articlebody", "text", "description", "reviewbody"), BIT["body_property"]))
