"""What each command of `tradepit` does; a module a command, imported when it is called."""
