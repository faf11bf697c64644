"""Write NXxas files in another process, or on another machine, from documents that come by 0MQ.

Between the two stands bluesky's proxy:

    bluesky-0MQ-proxy 5577 5578        # listens on all addresses of its machine
    python write_elsewhere.py 127.0.0.1:5578 /data/files

and in the session:

    from bluesky.callbacks.zmq import Publisher
    RE.subscribe(Publisher("127.0.0.1:5577"))

0MQ drops what nobody listens to, so keep the session's own journal: `beamline replay` makes the
file of a run that was missed.
"""

import logging
import signal
import sys

from bluesky.callbacks.zmq import RemoteDispatcher

from beamline_ophyd.callbacks import NXxasWriter

logger = logging.getLogger("write_elsewhere")


def main(address: str, folder: str) -> None:
    """Write a file of every run that is heard of, until Ctrl-C or SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    writer = NXxasWriter(
        folder, on_file=lambda uid, path, start: logger.info("run %s is in %s", uid, path)
    )
    dispatcher = RemoteDispatcher(address)
    dispatcher.subscribe(writer)
    # By the loop, which wakes for it; a signal that another thread gets would wait for a document.
    for number in (signal.SIGINT, signal.SIGTERM):
        dispatcher.loop.add_signal_handler(number, interrupt)
    logger.info("listening to %s", address)
    try:
        dispatcher.start()
    except KeyboardInterrupt:
        writer.close(60)


def interrupt() -> None:
    """End what the loop does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main(*sys.argv[1:])
