"""Batches over many machines, on Ray Data. Needs `pip install "bedrock-stream[ray]"`.

    ds = ask(ray.data.read_parquet("s3://in/"), model="amazon.nova-lite-v1:0", prompt="question", key="id",
             workers=4, concurrency=200, journal="/shared/run7", max_tokens=300)
    ds.write_parquet("s3://out/")

`ask` adds `Asker` to a dataset: an actor that asks its rows with the engine of `Client.map`. `RayQuota` is one quota
for all actors. Ray itself is imported on first use, and credentials are found on each node and never sent to it.
"""

from __future__ import annotations

from .asker import Asker
from .dataset import ask
from .quota import RayQuota

__all__ = ("Asker", "RayQuota", "ask")
