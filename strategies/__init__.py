"""One file a strategy. Strategies import `engine.strategy`, `engine.candles`, numpy and TA-Lib only."""
