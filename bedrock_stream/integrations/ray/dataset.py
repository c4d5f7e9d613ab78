"""`ask`: the step of a Ray Data pipeline that asks each row."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from ...errors import ConfigurationError
from ...types.checks import is_integer
from .asker import Asker
from .job import read_folder, refuse_credentials
from .need import need
from .quota import RayQuota

__all__ = ("ask",)

_log = logging.getLogger("bedrock_stream")

_BLOCK_ROWS = 500  # Ray retries a block as a whole
_LEAST_BLOCKS = 8  # in an actor at once, so that slow rows in some of them leave work for the others
_CPUS = 0.5  # of an actor, which mostly waits


def ask(
    ds: Any,
    *,
    model: str,
    workers: int | tuple[int, int] = 2,
    concurrency: int = 256,
    quota: Any = None,
    block_rows: int | None = _BLOCK_ROWS,
    ray_options: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> Any:
    """Return a dataset with an answer, or an error, for each row of `ds`. Nothing is asked before it is consumed.

    - `workers`: actors, or the least and the most of them.
    - `concurrency`: rows in flight of each actor, at most.
    - `block_rows`: larger blocks are split into blocks of so many rows; None leaves them. Without a journal, all rows
      of a block are asked again if its actor dies.
    - `ray_options`: more arguments for `Dataset.map_batches`, such as `num_cpus`: 0.5 for each actor, or what leaves
      one CPU of the cluster free. Ray restarts actors without end.
    - `model`, `quota` and `arguments`: those of `Asker`: `prompt` or `body`, `key`, `journal`, options of the call.

    Adds the columns `text, error, error_type, retryable, stop_reason, input_tokens, output_tokens, cost, request_id,
    seconds`; a row has either `text` or `error`. The order is kept only as long as nothing fails: sort by a key.
    Raises `ConfigurationError`.
    """
    refuse_credentials(arguments)
    data = need("ray.data")
    if not isinstance(ds, data.Dataset):
        raise ConfigurationError("ds", f"expected a Dataset of ray.data, got {type(ds).__name__}")
    if block_rows is not None and (not is_integer(block_rows) or block_rows < 1):
        raise ConfigurationError("block_rows", f"expected a positive int or None, got {block_rows!r}")
    least, most = _read_workers(workers)
    settings = {"model": model, "concurrency": concurrency, "quota": quota, **arguments}
    Asker(**settings)  # checks them, here and not in the actors
    if settings.get("journal") is not None:
        settings["journal"] = read_folder(settings["journal"])
    if isinstance(quota, RayQuota):
        quota.start()
    blocks = max(_LEAST_BLOCKS, math.ceil(4 * concurrency / (block_rows or _BLOCK_ROWS)))
    options: dict[str, Any] = {**_actors(data, least, most, blocks), **(ray_options or {})}
    options.setdefault("num_cpus", _cpus(least))
    if block_rows is not None:
        ds = ds.repartition(target_num_rows_per_block=block_rows)
    return ds.map_batches(Asker, batch_size=None, batch_format="pyarrow", fn_constructor_kwargs=settings, **options)


def _actors(data: Any, least: int, most: int, blocks: int) -> dict[str, Any]:
    """Return the arguments for actors of which each has so many blocks at once."""
    sizes: dict[str, Any] = {"min_size": least, "max_size": most}
    if least == most:
        sizes["max_tasks_in_flight_per_actor"] = blocks  # else the first actor takes blocks that others could have
    try:
        return {"compute": data.ActorPoolStrategy(**sizes, max_concurrent_calls_per_actor=blocks)}
    except TypeError:  # Ray before 2.50
        return {"compute": data.ActorPoolStrategy(**sizes), "max_concurrency": blocks}


def _cpus(workers: int) -> float:
    """Return how many CPUs each of so many actors takes. The one that is left reads and splits: else nothing would."""
    ray = need("ray")
    if not ray.is_initialized():
        return _CPUS
    there = ray.cluster_resources().get("CPU", 0.0)
    share = max(0.0, there - 1.0) / workers
    if share >= _CPUS:
        return _CPUS
    share = int(share * 1000) / 1000  # Ray counts in steps of 0.0001
    _log.warning("the cluster has %g CPUs, so each of %d actors takes %g of one", there, workers, share)
    return share


def _read_workers(workers: Any) -> tuple[int, int]:
    pair = workers if isinstance(workers, tuple) and len(workers) == 2 else (workers, workers)
    least, most = pair
    if not (is_integer(least) and is_integer(most) and 1 <= least <= most):
        raise ConfigurationError("workers", f"expected a positive int, or the least and the most, got {workers!r}")
    return least, most
