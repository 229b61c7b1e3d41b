"""Freqtrade's public interface for strategies, so that a file written for Freqtrade runs here as it is.

Written anew from its public documentation and behaviour; nothing of Freqtrade is in here, and it need not
be installed. Needs pandas (`pip install tradepit[freqtrade]`), which native strategies never import.
The loader installs `hook` when a file imports `freqtrade`; see docs/freqtrade-strategies.md.
"""
