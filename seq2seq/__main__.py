"""The command line as a module: `python -m seq2seq` and `torchrun -m seq2seq`."""

from seq2seq.cli import main

if __name__ == "__main__":
    main()
