"""What a Prefect server must know before the first run: the work pool, the rule for runs whose process is gone, the deployments.

`python deploy/setup.py`, in the repository's root, with the variables of NEEDED set. Run it again after each upgrade: what is there is
brought up to date, and schedules that somebody has switched on stay on.
"""

import os
import subprocess
import sys
from contextlib import suppress
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
from prefect.client.schemas.sorting import DeploymentSort
from prefect.exceptions import ObjectAlreadyExists

from flows.up import MISSED, crash_silent_runs

POOL = "winnow"
NEEDED = {
    "PREFECT_API_URL": "the server's API, such as http://127.0.0.1:4200/api",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "seconds between the heartbeats of a run, for workers too: 30",
    "WINNOW_STORE": "where artifacts go: an absolute path or an address such as s3://bucket/winnow",
    "WINNOW_CRAWL": "what the corpus is made from: an absolute path or pattern, or an address such as s3://bucket/crawl",
}


def main() -> None:
    missing = [f"{name}: {meaning}" for name, meaning in NEEDED.items() if not os.environ.get(name)]
    if missing:
        sys.exit("set these first:\n" + "\n".join(missing))
    with get_client(sync_client=True) as client:
        with suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        crash_silent_runs(os.environ["PREFECT_API_URL"], MISSED * int(os.environ["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]))
        active = {slug for slug, _, on in _schedules(client) if on}
        prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
        subprocess.run([*prefect, "deploy", "--all", "--prefect-file", "deploy/prefect.yaml"], check=True)
        for slug, ids, on in _schedules(client):
            if slug in active and not on:
                client.update_deployment_schedule(*ids, active=True)


def _schedules(client: SyncPrefectClient) -> list[tuple[str | None, tuple[UUID, UUID], bool]]:
    """Slug, ids and whether it is active, of every schedule of our deployments."""
    ours = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
    deployments = client.read_deployments(work_pool_filter=ours, limit=200, sort=DeploymentSort.NAME_ASC)
    return [(one.slug, (deployment.id, one.id), one.active) for deployment in deployments for one in deployment.schedules]


if __name__ == "__main__":
    main()
