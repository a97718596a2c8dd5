"""A worker of the local engine: reads (function, task) from a socket that it inherits, writes results back, until the socket closes.

Started as `python -m flows.engines.child FD PARENT`; imports nothing heavy before its threads are bounded by the environment it is given.
"""

import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    threading.Thread(target=follow, args=(int(sys.argv[2]),), daemon=True).start()
    from flows.engines.attempt import attempt

    connection = Connection(int(sys.argv[1]))
    while True:
        try:
            function, task = connection.recv()
            connection.send(attempt(function, task))
        except (EOFError, ConnectionError):
            return  # the parent is gone


def follow(parent: int) -> None:
    """Die with the parent, even when it was killed and this worker is deep in a page."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    main()
