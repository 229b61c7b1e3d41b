"""Notices to a user's phone, mail or chat: `mailroom` is the notifier's end, `sender` a process that talks to the world.

Apprise, which knows the ways, is loaded in that process only; an address never leaves these two.
"""
