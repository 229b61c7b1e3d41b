"""The long demonstrations of `python -m tests.show`."""
