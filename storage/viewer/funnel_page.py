"""What each stage of a run saw, kept and dropped, by reason: `/runs/{run}/funnel`: as a picture and as a table.

The picture is a Sankey diagram that runs down: the pages are a trunk, what a stage drops leaves it to the right, one band for each
reason, all widths in one proportion. Each band leads to the rows that it stands for. Counts come from the snapshots; no row is read.
"""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from storage.funnel import in_funnel
from storage.runs import RunRecord
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer.dataset import link
from storage.viewer.filters import Filter
from storage.viewer.page import Page, Viewer, loaded, only, render, run_of
from storage.viewer.rows import Query

TRUNK = 180.0  # width of the trunk where it is widest
REACH = 212.0  # where bands end and their names begin
WIDTH = 420
MARGIN = 136  # left of the trunk, for the names of stages: it may be narrower than any of them
HEAD = 14  # height of what a stage saw, above its bands
LEAST = 42  # height of a stage: its name, and how many pages it saw
LINE = 19  # height of a band's line, at least
THIN = 0.8  # a band is never drawn thinner
MOST = 12  # reasons drawn for a stage; the rest share one band


@dataclass(frozen=True)
class Loss:
    reason: str
    rows: int
    path: str


@dataclass(frozen=True)
class Passage:
    """One stage: what it saw, and what it dropped."""

    snapshot: Snapshot
    losses: tuple[Loss, ...]
    path: str
    """The rows that it kept."""

    @property
    def share(self) -> float:
        """Of what it saw, the part that it kept."""
        return self.snapshot.kept / self.snapshot.rows if self.snapshot.rows else 1.0


@dataclass(frozen=True)
class Band:
    loss: Loss
    shape: str
    y: float
    """Middle of its end."""


@dataclass(frozen=True)
class Section:
    passage: Passage
    top: float
    bands: tuple[Band, ...]
    trunk: str
    """What it kept, as a path."""


def view(viewer: Viewer, request: Request) -> Response:
    only(request)
    record = run_of(viewer, request.path_params["run"])
    found = passages(viewer.store, record)
    sections, height = draw(found)
    return render(
        viewer,
        request,
        "funnel.html",
        run=record,
        passages=found,
        sections=sections,
        width=WIDTH,
        height=height,
        reach=REACH,
        margin=MARGIN,
    )


def passages(store: Store, record: RunRecord) -> list[Passage]:
    """The stages that filter, and the corpus as it is. Those whose snapshot is gone are left out."""
    found: list[Passage] = []
    for made in record.artifacts.values():
        folder, _, identity = made.reference.partition("@")
        try:
            snapshot = loaded(store, *folder.split("/"), identity)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            continue
        if in_funnel(snapshot):
            found.append(passage(snapshot))
    return found


def passage(snapshot: Snapshot) -> Passage:
    def those(*filters: Filter) -> str:
        return link(Query(snapshot, filters=filters))

    reasons = list(snapshot.reasons.items())
    named = reasons if len(reasons) <= MOST + 1 else reasons[:MOST]
    losses = [Loss(reason, rows, those(Filter("reason", "eq", reason))) for reason, rows in named]
    rest = reasons[len(named) :]
    if rest:
        others = tuple(Filter("reason", "ne", reason) for reason, _ in named)
        losses.append(Loss(f"{len(rest)} other reasons", sum(rows for _, rows in rest), those(*others)))
    return Passage(snapshot, tuple(losses), those(Filter("reason", "null")) if reasons else those())


def draw(found: list[Passage]) -> tuple[list[Section], float]:
    """The sections from top to bottom, and the height of all."""
    most = max((one.snapshot.rows for one in found), default=0)
    scale = TRUNK / most if most else 0.0
    sections: list[Section] = []
    top = 0.0
    for one in found:
        at = top + HEAD
        right = one.snapshot.rows * scale
        bands: list[Band] = []
        for loss in one.losses:
            thick = loss.rows * scale
            line = max(float(LINE), thick + 5)
            bands.append(Band(loss, _band(right - thick, right, top + HEAD, at + line / 2), at + line / 2))
            at, right = at + line, right - thick
        bottom = max(at + 5, top + LEAST)
        seen = one.snapshot.rows * scale
        # A hair's breadth above each stage parts it from the one before.
        trunk = f"M0 {top + 1.5:.1f}H{seen:.2f}V{top + HEAD:.1f}H{right:.2f}V{bottom:.1f}H0z"
        sections.append(Section(one, top, tuple(bands), trunk))
        top = bottom
    return sections, top


def _band(left: float, right: float, top: float, y: float) -> str:
    """Down from the trunk's right side, then to the right: a quarter turn of one thickness."""
    thick = max(THIN, right - left)
    left = right - thick
    turn = min(7.0, max(0.0, y - thick / 2 - top))
    upper, lower = y - thick / 2, y + thick / 2
    return (
        f"M{left:.2f} {top:.1f}H{right:.2f}V{upper - turn:.2f}Q{right:.2f} {upper:.2f} {right + turn:.2f} {upper:.2f}H{REACH:.0f}"
        f"V{lower:.2f}H{right + turn:.2f}Q{left:.2f} {lower:.2f} {left:.2f} {upper - turn:.2f}z"
    )


PAGE = Page("/runs/{run}/funnel", view)
