"""Start the command line with `python -m seq2seq` or `torchrun -m seq2seq`."""

from seq2seq.cli import main

if __name__ == "__main__":
    main()
