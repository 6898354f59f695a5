"""The network of each task, assembled from the parts in `seq2seq.nn`, and the model folder."""
