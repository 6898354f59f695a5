"""Search algorithms, and the classes that apply a trained model, such as `Translator`."""
