"""The shapes of recurrent networks, each a few lines that join the parts of `seq2seq.nn`."""
