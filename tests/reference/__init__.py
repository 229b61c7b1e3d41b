"""Cases recorded from Freqtrade, run as a black box: how they are made, recorded and renewed (docs/reference-cases.md)."""
