"""Batches: many calls with bounded concurrency, which survive throttling, and with a journal also crashes.

`Client.map` makes a `Batch`. `intake` reads the prompts, `asking` asks one row, `engine` runs the rows, `outbox` hands
them out, and `journal` writes them to disk and finds them again.
"""
