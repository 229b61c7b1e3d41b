"""The trading rules, pure: no thread, process, socket, file, clock, randomness or logging.

Imports the standard library, numpy and itself only (a test checks it), so everything here
can be run, repeated and reasoned about without anything else of the program.
"""
