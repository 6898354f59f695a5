"""Translate a folder of files with worker processes on one machine or on many machines."""
