import random

import polars as pl
import pytest
from datatrove.pipeline.formatters.pii import PIIFormatter
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.corpus.pii import DOMAIN, LOCAL, PII, PiiConfig, at_windows, clean

MARKED = PiiConfig(email_replacements=("MAIL",), ip_replacements=("IP",))
LIBRARY = PIIFormatter(email_replacement="MAIL", ip_replacement="IP")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("write to jane.doe+news@mail.example.co.uk, please", "write to MAIL, please"),
        ("<a@b.org>(c@d.org);mailto:e@f.org", "<MAIL>(MAIL);mailto:MAIL"),
        ("'quoted@example.net'", "'MAIL'"),
        ("x_y@[8.8.8.8] and x@[8.8.8.x]", "MAIL and x@[8.8.8.x]"),
        ("end of a sentence: a@b.de.", "end of a sentence: MAIL."),
        ("a@b@c.com", "a@MAIL"),
        ("a@b.c@d.com", "MAIL@d.com"),
        ("no address: a@b, @user, user@, a @ b.com, a..@b.com, @", "no address: a@b, @user, user@, a @ b.com, a..@b.com, @"),
        ("é@b.com stays, -x@b.com goes but for its dash", "é@b.com stays, -MAIL goes but for its dash"),
        ("public 8.8.8.8, 8.8.4.4: gone.", "public IP, IP: gone."),
        ("http://9.9.9.9:80/ and 9.9.9.9/24 and (9.9.9.9)", "http://IP:80/ and IP/24 and (IP)"),
        ("private 10.0.0.1 192.168.1.1 127.0.0.1 172.16.0.9", "private 10.0.0.1 192.168.1.1 127.0.0.1 172.16.0.9"),
        ("no address: 256.1.1.1 8.8.8 08.8.8.8 1.2.3.256", "no address: 256.1.1.1 8.8.8 08.8.8.8 1.2.3.256"),
    ],
)
def test_addresses_are_replaced_as_by_the_library(text: str, left: str) -> None:
    assert clean(text, MARKED)[0] == left
    if not any(odd in text for odd in ("256", "08.8")):  # of these the library replaces a part
        assert LIBRARY.format(text) == left


@pytest.mark.parametrize(
    "text", ["v8.2.3.4", "v1.2.3.4.5", "8.2.3.4.5", "version 8.2.3.4", "Version 8.2.3.4", "1234.5.6.7", "8.8.8.8th", "v.8.2.3.4"]
)
def test_versions_are_no_addresses_unless_told_so(text: str) -> None:
    assert clean(text, MARKED) == (text, 0, 0)
    left, _, ips = clean(text, MARKED.model_copy(update={"ips_in_versions": True}))
    assert (left, ips) == (LIBRARY.format(text), 1)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from(["a", "b", "@", "@", ".", "..", "-", " ", "é", "9", "com", "+", "_", "\n", "[1.2.3.4]"]), max_size=20
    ).map("".join)
)
def test_emails_are_found_where_the_library_finds_them(text: str) -> None:
    assert clean(text, MARKED.model_copy(update={"ips": False}))[0] == PIIFormatter(
        remove_ips=False, email_replacement="MAIL"
    ).format(text)


def test_one_address_has_one_replacement_everywhere() -> None:
    config = PiiConfig()
    addresses = [f"user{number}@site.org" for number in range(40)] + [f"9.9.9.{number}" for number in range(40)]
    alone = {address: clean(address, config)[0] for address in addresses}
    assert set(alone.values()) == {*config.email_replacements, *config.ip_replacements}
    random.Random(1).shuffle(addresses)
    assert clean(" ".join(addresses), config)[0].split() == [alone[address] for address in addresses]
    assert clean("USER1@site.org", config)[0] == alone["user1@site.org"]


def test_a_second_run_changes_nothing() -> None:
    once, emails, ips = clean("a@b.org wrote from 8.8.8.8 to c.d@e.org at 9.9.9.9", PiiConfig())
    assert (emails, ips) == (2, 2)
    assert clean(once, PiiConfig()) == (once, 0, 0)


def test_each_kind_can_be_left_alone() -> None:
    text = "a@b.org 8.8.8.8"
    assert clean(text, PiiConfig(emails=False, ip_replacements=("IP",))) == ("a@b.org IP", 0, 1)
    assert clean(text, PiiConfig(ips=False, email_replacements=("MAIL",))) == ("MAIL 8.8.8.8", 1, 0)


@pytest.mark.parametrize("bait", ["a-", "a-a-@", "@", "a@", "a.", "a@a.", "1.", "1.1.1.1.", "a@-.", "x@[1.", "@" + "a" * 300])
def test_the_work_grows_with_the_length_of_hostile_text(bait: str) -> None:
    text = (bait * 1_000_000)[:1_000_000]
    windows = list(at_windows(text))
    assert sum(stop - start for start, _, stop in windows) <= 2 * len(text)
    assert all(at - start <= LOCAL and stop - at <= DOMAIN + 1 for start, at, stop in windows)
    assert len(clean(text, PiiConfig())[0]) > 0


def test_longer_than_an_address_may_be_is_none() -> None:
    assert clean("a" * LOCAL + "@b.com", MARKED)[0] == "MAIL"
    assert clean("a" * (LOCAL + 1) + "@b.com", MARKED)[1] == 0


def test_the_stage_keeps_its_rows_and_counts() -> None:
    docs = pl.DataFrame({"id": ["1", "2"], "text": ["a@b.org, c@d.org, 8.8.8.8", None], "url": ["u", "v"]})
    out = PII.run(docs, MARKED, {})
    assert dict(out.schema) == PII.schema(docs.schema)
    assert out.rows() == [("1", "MAIL, MAIL, IP", "u", 2, 1), ("2", "", "v", 0, 0)]
