"""Which datasets are a stage of the funnel: those whose rows have a column `reason`, even if none was dropped, and the corpus itself."""

from storage.snapshot import Snapshot


def in_funnel(snapshot: Snapshot) -> bool:
    return snapshot.stage == "corpus" or any(file.reasons is not None for file in snapshot.files)
