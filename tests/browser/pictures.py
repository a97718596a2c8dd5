"""The README's pictures, taken anew from `winnow up` over the made-up web: `make pictures`."""

import io
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from storage.artifact import resolve
from storage.shards import read_shard
from storage.store import Store
from tests.browser.chromium import Seen, launched, program, tab
from tests.browser.test_prefect_ui import form, prefect
from tests.flows.test_up import Up, started, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
FLOWS = ROOT / "flows/pictures"
VIEWER = ROOT / "storage/viewer/pictures"
CRAWL = {"pages": 600}


def main() -> None:
    executable = program()
    if executable is None:
        raise SystemExit("no Chromium was found; install it with `apt-get install chromium`")
    folder = Path(tempfile.gettempdir()) / "winnow"  # stands in some of the pictures
    folder.mkdir()
    try:
        with started(folder) as up, launched(executable) as browser, tab(browser, Seen()) as page:
            take_prefect(page, up)
            take_viewer(page, up)
    finally:
        shutil.rmtree(folder)


def take_prefect(page: "Page", up: Up) -> None:
    """Of two runs the second, with another threshold: what stands before it is cached."""
    form(page, up, "demo")
    page.get_by_text("Gopher Quality (Optional)").evaluate("one => one.scrollIntoView()")
    save(page, FLOWS / "form.png")
    up.end(up.start("demo", until="corpus", simulate=CRAWL), 300)
    run = up.start("demo", until="corpus", simulate=CRAWL, gopher_quality={"min_words": 60})
    up.end(run, 300)
    until(lambda: len(up.tasks(run)) == 17)
    page.goto(f"{prefect(up)}/v2/runs/flow-run/{run}?tab=TaskRuns")
    page.get_by_role("combobox", name="Task run sort order").click()
    page.get_by_role("option", name="Oldest to newest").click()
    page.get_by_text("Cached", exact=True).first.wait_for()
    save(page, FLOWS / "run.png")


def take_viewer(page: "Page", up: Up) -> None:
    store = Store(str(up.folder / "store"))
    quality = f"{up.viewer}/{resolve(store, 'gopher_quality').reference}"
    page.goto(up.viewer)
    page.locator("a[href^='/runs/']").first.click()
    page.get_by_role("link", name="Funnel").click()
    save(page, VIEWER / "funnel.png")
    page.goto(f"{quality}?column=words&operator=gt&value=44&sort=words")
    save(page, VIEWER / "dataset.png")
    page.goto(f"{up.viewer}/document?page={mended(store)}")
    page.locator("li", has_text="c4").locator("del").first.evaluate("one => one.closest('li').scrollIntoView()")
    save(page, VIEWER / "document.png")
    page.goto(f"{quality}/lineage")
    save(page, VIEWER / "lineage.png")


def mended(store: Store) -> str:
    """The URL of a page that c4 cut lines from and pii took addresses out of, and that was kept."""
    texts = {}
    for stage in ("gopher_quality", "c4", "corpus"):
        made = resolve(store, stage)
        texts[stage] = {row["id"]: row for file in made.files for row in read_shard(store, made.folder, file).to_dicts()}
    return next(
        row["url"]
        for identity, row in texts["corpus"].items()
        if row["text"] != texts["c4"][identity]["text"] != texts["gopher_quality"][identity]["text"]
    )


def save(page: "Page", path: Path) -> None:
    """As PNG with a palette, a third as large."""
    page.wait_for_timeout(1000)  # Prefect's pages move while they are being drawn
    path.parent.mkdir(exist_ok=True)
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(256).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
