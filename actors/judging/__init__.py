"""Judging: loading a user's strategy, asking it, and keeping what it does from hurting anybody.

`bench` asks a strategy; `worker` is a process around a bench, `protocol` how it is talked to,
`handle` the bot's end of it. Only a worker, or a bot with `workers = 0`, ever runs a user's code.
"""
