"""A local exchange for the tests: Binance's and Bybit's APIs over real sockets, with a ledger of its own.

Binance's spot and USD-M futures are here, with the market that both share; Bybit's door to the spot market is `bybit`.

It is there so that the whole bot, and the unmodified ccxt classes below it, can be run against an exchange that
misbehaves as ordered, and then be compared with what the exchange itself wrote down. It shares no code with the bot.

    clock       the exchange's time: may run fast, may be wrong
    errors      refusals with Binance's codes
    ledger      double entry: every posting sums to nothing
    listing     the pairs and their filters
    quotes      prices, candles and day's figures of a pair
    orders      an order and a trade as records
    venue       what spot and futures share: taking, resting, triggering, ending orders
    spot        funds of a spot account
    margin      a futures account and its positions; `futures` what it may do, `algo` conditional orders, `events`
                and `user_stream` what it is told
    windows     Binance's fixed windows for request weight and order counts
    faults      what is to go wrong, when, and how often
    door        each request's way: limits, key, signature, faults, answer
    rest_*      the endpoints
    sockets     one websocket; `hub` the market streams, `frames` what they send, `ws_api` spot's user stream
    player      prices that move by themselves or by script
    control     this server's own endpoints: prices, faults, the ledger
    client      how ccxt is pointed here, and calls of the control endpoints
"""
