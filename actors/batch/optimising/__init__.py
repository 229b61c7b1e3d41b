"""`tradepit optimize`: a search for the values with which a strategy would have done best."""
