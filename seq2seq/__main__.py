"""Start the command line: `seq2seq`, `python -m seq2seq` or `torchrun -m seq2seq`."""

import sys


def start() -> None:
    """Run the command line. Ctrl-C ends it without a traceback, even while modules are loaded."""
    try:
        from seq2seq.signals import stop_cleanly

        stop_cleanly()
        from seq2seq.cli import main

        main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    start()
