"""From a page to HTML as sites write it: six looks with navigation, sidebars, cookie banners and footers around the main text.

The damage that real pages have is done here too: `unclosed` (no closing tags), `latin1` (bytes that are not what the header says), `nul`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from html import escape

from stages.simulation.page import Block, Page

HEADING = {"h2": "h2", "h3": "h3"}
COOKIES = "We use cookies to make this site better. By staying here you accept our cookie policy."
MENU = ("Home", "News", "People", "Towns", "Markets", "Weather", "Letters", "About us", "Contact")


def body(block: Block) -> str:
    tag, text = block
    if tag == "post":
        author, _, words = text.partition("\n")
        return f'<div class="post"><div class="author">{escape(author)}</div><p>{escape(words)}</p></div>'
    if tag == "pre":
        return f"<pre>{escape(text)}</pre>"
    return f"<{tag}>{escape(text).replace(chr(10), '<br>' + chr(10))}</{tag}>"


def links(titles: Sequence[str], tag: str = "li") -> str:
    return "".join(f'<{tag}><a href="/{"-".join(title.lower().split())}">{escape(title)}</a></{tag}>' for title in titles)


def wiki(title: str, main: str, host: str, see: Sequence[str]) -> str:
    return f"""<div id="sidebar" class="sidebar"><ul>{links(("Main page", "Contents", "Random article", "Help"))}</ul></div>
<main id="content" class="mw-body"><article><h1 class="firstHeading">{title}</h1>
{main}
</article></main>
<div id="catlinks" class="navbox"><ul>{links(see)}</ul></div>
<footer><ul><li>This page was last changed some time ago.</li><li><a href="/about">About {host}</a></li><li><a href="/privacy">Privacy policy</a></li></ul></footer>"""


def paper(title: str, main: str, host: str, see: Sequence[str]) -> str:
    return f"""<header class="site-header"><a class="logo" href="/">{host}</a><nav class="menu"><ul>{links(MENU[:7])}</ul></nav></header>
<div id="cookie-banner" class="cookie-notice"><p>{COOKIES}</p><button>OK</button></div>
<main><article class="story"><h1>{title}</h1>
<div class="byline">By our reporter · 3 min read</div>
{main}
</article></main>
<aside class="sidebar related"><h3>Read also</h3><ul>{links(see)}</ul><div class="newsletter"><p>Get our newsletter every week.</p></div></aside>
<footer class="site-footer"><ul>{links(("Imprint", "Privacy policy", "Terms of use"))}</ul><p>© {host}. All rights reserved.</p></footer>"""


def blog(title: str, main: str, host: str, see: Sequence[str]) -> str:
    return f"""<div class="header"><div class="navbar"><ul>{links(MENU[:4])}</ul></div></div>
<div class="wrapper"><div class="post-content entry-content"><h1 class="entry-title">{title}</h1>
<div class="meta">Posted in <a href="/c">Notes</a></div>
{main}
<div class="box">Older notes</div>
</div><div class="sidebar widget-area"><h4>Archive</h4><ul>{links(see)}</ul></div></div>
<div class="social-share"><ul>{links(("Like", "Share", "Print"))}</ul></div><footer class="footer"><p>Powered by lamps and patience.</p></footer>"""


def board(title: str, main: str, host: str, see: Sequence[str]) -> str:
    return f"""<div class="navbar" role="navigation"><ul>{links(("Index", "Search", "Members", "Log in", "Register"))}</ul></div>
<div class="breadcrumb"><a href="/">Index</a> » <a href="/talk">Talk</a></div>
<main class="thread"><h1>{title}</h1>
{main}
</main><div class="sidebar"><ul>{links(see)}</ul></div>
<footer class="footer"><p>{host} board software. All times are local.</p></footer>"""


def store(title: str, main: str, host: str, see: Sequence[str]) -> str:
    return f"""<div class="cookie-consent"><p>{COOKIES}</p></div>
<header><nav><ul>{links(("Shop", "Cart", "Account", "Gifts", "Sale"))}</ul></nav></header>
<main class="product"><h1>{title}</h1><section class="description">
{main}
</section><div class="rating"><span>4.5 of 5</span> <span>In stock</span> <a href="/cart">Add to cart</a></div></main><aside class="recommendations"><h3>You may also like</h3><ul>{links(see)}</ul></aside>
<footer><ul>{links(("Shipping", "Returns", "Terms of use"))}</ul></footer>"""


def old(title: str, main: str, host: str, see: Sequence[str]) -> str:
    return f"""<table width="100%" border="0"><tr><td width="140" valign="top">{links(MENU[:5], "div")}</td>
<td valign="top"><div id="main"><h1><font color="#000080">{title}</font></h1>
{main}
</div></td></tr></table><hr><center><font size="1">Best viewed with an open mind. {host}</font></center>"""


LOOKS = {"wiki": wiki, "paper": paper, "blog": blog, "board": board, "store": store, "old": old}


def render(page: Page, look: str, host: str, language: str, rng: random.Random, see: Sequence[str]) -> str:
    """The HTML document. `see`: titles of other pages, for the boxes beside the text."""
    main = "\n".join(body(block) for block in page.blocks)
    inner = LOOKS[look](escape(page.title), main, host, see)
    script = f"<script>var page = {{id: {rng.randint(1000, 9999)}, ads: true}};</script>" if rng.random() < 0.5 else ""
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n<title>{escape(page.title)} | {host}</title>\n'
        f'<meta name="description" content="{escape(page.title)}">\n<style>body {{ margin: 2em; }}</style>{script}\n</head>\n'
        f"<body>\n{inner}\n</body>\n</html>\n"
    )


def damage(html: str, kind: str, rng: random.Random) -> bytes:
    """The bytes of a page that is broken in this way: unclosed, latin1, nul, or '' for none."""
    if kind == "unclosed":
        for tag in ("</p>", "</li>", "</td>", "</tr>", "</article>", "</body>", "</html>"):
            html = html.replace(tag, "")
    if kind == "nul":
        words = html.split(" ")
        for _ in range(5):
            words[rng.randrange(len(words) // 2, len(words))] += "\0"
        html = " ".join(words)
    return html.replace("utf-8", "iso-8859-1").encode("latin-1", "replace") if kind == "latin1" else html.encode()
