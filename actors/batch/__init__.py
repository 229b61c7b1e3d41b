"""Long jobs without a running bot: replay, audit, data."""
