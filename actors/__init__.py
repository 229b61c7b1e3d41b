"""The shells around the engine: receive a message, call the engine, do the actions it returned.

No trading rule lives here.
"""
