"""What a Prefect server must know before the first run: the work pool, the rule for runs whose process is gone, the deployments.

`python deploy/setup.py`, in the repository's root, with the variables of NEEDED set. Run it again after each upgrade: what is there is
brought up to date, and schedules stay as somebody has left them.
"""

import os
import subprocess
import sys
from contextlib import suppress

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists

from flows.served import deployments, known_schedules
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
        kept = {
            one.full_name: known_schedules(client, one.full_name)
            for one in deployments(os.environ["WINNOW_STORE"], os.environ["WINNOW_CRAWL"])
        }
        try:
            command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", "deploy/prefect.yaml"]
            subprocess.run(command, check=True)
        finally:  # half of them may be registered
            for name, schedules in kept.items():
                if schedules is not None:
                    deployment = client.read_deployment_by_name(name)
                    for one in deployment.schedules:
                        client.delete_deployment_schedule(deployment.id, one.id)
                    client.create_deployment_schedules(deployment.id, schedules)


if __name__ == "__main__":
    main()
