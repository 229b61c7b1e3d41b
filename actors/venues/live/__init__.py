"""Real exchanges: the trading side, the market data, the account, through `actors.venues.ccxt`."""
