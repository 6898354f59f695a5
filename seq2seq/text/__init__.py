"""Text processing: read raw lines, convert text to token ids and back, and make batches."""
