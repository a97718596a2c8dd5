"""Named recipes for a corpus: how their settings differ from the defaults. `winnow run corpus --set profile=datatrove-0.10`.

| profile | what it is |
|---|---|
| winnow | the defaults: FineWeb's recipe with the faults of its tools mended |
| datatrove-0.10 | what examples/fineweb.py does when datatrove 0.10.1 runs it |
| fineweb-2024 | FineWeb as published: Penedo et al. 2024 (arXiv 2406.17557), and the state of datatrove with which it was made |

**datatrove-0.10** decides page by page as the library does, for the same reasons, and leaves the same texts (tests/peers). Not the same:
- which of the library's replacements an address gets (there it depends on the order of pages), e-mail addresses longer than RFC 5321
  allows (its search takes quadratic time), and its own replacements, which it replaces again;
- trafilatura with a memory of earlier pages, and its limit of a second of wall time; here the memory ends with the page and counts limit
  it, as `extract` says. Pages over the bounds of `records` and `extract` are dropped, words of more than 1,000 characters are cut;
- which page of a cluster of near-duplicates stays: here the first, there any;
- what the library downloads: lid.176.bin (name it as `language_model`; lid.176.ftz is the small form of it), the newest list of public
  suffixes, GPT-2's tokenizer for `token_count` (name it as `token_counter`);
- `resource` records, captures of ARC files, and pages whose type only the HTTP header tells, where the library looks at the first bytes.

**fineweb-2024** adds what was other then: English alone, quotes at line ends, equality with a threshold of FineWeb's own filter, repeated
stop words. Not to be had: NLTK's words and sentences (it needs a model to download; spaCy's stand in for them), trafilatura and URL
lists of that time. Taken to be as in 0.10.1, which cannot be known from the paper: URL matching, reading, decoding and PII.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

Profile = Literal["winnow", "datatrove-0.10", "fineweb-2024"]
Settings = TypeVar("Settings", bound=BaseModel)
Differences = Mapping[str, Mapping[str, Any]]

DATATROVE: Differences = {
    "records": {"any_status": True},
    "url": {"profile": "datatrove-0.10"},
    "extract": {"method": "trafilatura", "decoding": "datatrove-0.10"},
    "language": {"languages": ()},
    "gopher_quality": {"punctuation_is_words": True, "heading_marks": True},
    "c4": {"layout": False},
    "fineweb": {"line_ends": "datatrove-0.10", "equal_breaks": False},
    "signatures": {"hash_fc": "sha1"},
    "pii": {"ips_in_versions": True},
}
PUBLISHED: Differences = {
    **{section: values for section, values in DATATROVE.items() if section != "language"},
    "gopher_quality": {"punctuation_is_words": True, "heading_marks": True, "repeated_stop_words": True},
    "fineweb": {"line_ends": "fineweb-2024"},
}
PROFILES: dict[Profile, Differences] = {"winnow": {}, "datatrove-0.10": DATATROVE, "fineweb-2024": PUBLISHED}


def effective(settings: Settings, profile: Profile) -> Settings:
    """The settings with which a run works: where a field of a section is at its default, the profile's value; else the field's own.

    A form sends every field, so one that was left alone and one that was set to its default look the same.
    """
    sections = {}
    for name, differences in PROFILES[profile].items():
        section: BaseModel = getattr(settings, name)
        fields = type(section).model_fields
        left = {field: value for field, value in differences.items() if getattr(section, field) == fields[field].default}
        sections[name] = section.model_copy(update=left)
    return settings.model_copy(update=sections)
