"""The whole bot against the local exchange, as it would be against the real one."""
