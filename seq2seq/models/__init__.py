"""The network of each task, and the model folder that stores a trained network."""
