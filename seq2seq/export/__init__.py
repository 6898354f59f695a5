"""A trained model as ONNX graphs, and the engine that runs them without PyTorch."""
