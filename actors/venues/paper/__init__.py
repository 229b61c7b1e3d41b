"""The simulated exchange, and the markets that it and replays run on."""
