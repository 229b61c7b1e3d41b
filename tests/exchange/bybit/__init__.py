"""Bybit's v5 API on the same accounts, orders, prices and faults: the exchange's second door, spot only.

What an order does, what it costs and what is written down is `tests.exchange.spot`'s; here is only how Bybit says it.

    errors      refusals with Bybit's codes
    limits      how often an account may ask each endpoint, and an address anything
    door        each request's way: limits, key, signature, time, answer
    words       an order, an execution and a wallet as Bybit writes them
    market      the public endpoints; `account` what an account has, `orders` what it does
    hub         the market streams; `stream` what an account is told
"""
