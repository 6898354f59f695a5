"""The networks of the tasks, each a few lines that join the parts of `seq2seq.nn`."""
