"""The funnels of a way: of each chain of filtering stages what it saw, kept and dropped, as the viewer draws it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from storage.funnel import in_funnel
from storage.report.way import Station, Way
from storage.viewer.funnel_page import MARGIN, Passage, Section, draw, passage


@dataclass(frozen=True)
class Funnel:
    passages: tuple[Passage, ...]
    sections: tuple[Section, ...]
    height: float

    @property
    def margin(self) -> int:
        """Left of the picture, for the names of its stages."""
        return max(MARGIN, 14 + 8 * max(len(one.snapshot.stage) for one in self.passages))

    @property
    def seen(self) -> int:
        return self.passages[0].snapshot.rows

    @property
    def kept(self) -> int:
        return self.passages[-1].snapshot.kept


def funnels(way: Way) -> list[Funnel]:
    """One for each end of a chain along the input `docs`: the corpus, imported conversations. The longest first."""
    filtering = {one.reference for one in way.stations.values() if one.snapshot and in_funnel(one.snapshot)}
    followed: set[str] = set()
    found: list[Funnel] = []
    for reference in reversed(list(way.stations)):
        if reference in filtering and reference not in followed:
            chain = [one for one in _back(way.stations, reference) if one.reference in filtering]
            followed |= {one.reference for one in chain}
            passages = [_here(one) for one in reversed(chain)]
            if len(passages) > 1 or passages[0].losses:
                sections, height = draw(passages)
                found.append(Funnel(tuple(passages), tuple(sections), height))
    return sorted(found, key=lambda one: -len(one.passages))


def _back(stations: Mapping[str, Station], reference: str) -> Iterator[Station]:
    while station := stations.get(reference):
        yield station
        reference = station.inputs.get("docs", "")


def _here(station: Station) -> Passage:
    """Its bands lead to the artifact in this page, where there are no rows to lead to."""
    assert station.snapshot is not None
    made = passage(station.snapshot)
    place = f"#{station.anchor}"
    return replace(made, path=place, losses=tuple(replace(loss, path=place) for loss in made.losses))
