"""What may happen to a cluster while a night runs, by name.

Each function disturbs, and returns the seconds that the disturbance itself takes from the night:
what was down, or until others could notice.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import threading
import time
from collections.abc import Callable

import httpx

from tests.cluster.cluster import NIGHTLY, Cluster

NOTICED_S = 40.0
"""Until the scheduler gives a dead worker's task to another: `HEARTBEAT_S` and a check."""
FROZEN_S = 60.0
FULL_S = 30.0
STORE_S = 20.0


def worker_killed(cluster: Cluster, rng: random.Random) -> float:
    """SIGKILL for every process of a worker that transcribes, or of any."""
    name = cluster.worker_at_work() or rng.choice(sorted(cluster.workers))
    cluster.containers[name].kill()
    return NOTICED_S


def worker_frozen(cluster: Cluster, rng: random.Random) -> float:
    """A worker stops, its batch is given to another, and it wakes up and goes on."""
    name = cluster.worker_at_work() or rng.choice(sorted(cluster.workers))
    container = cluster.containers[name]
    container.freeze()
    timer = threading.Timer(FROZEN_S, container.thaw)
    timer.daemon = True
    timer.start()
    return FROZEN_S


def scheduler_killed(cluster: Cluster, rng: random.Random) -> float:
    """It starts again, and adopts the tasks of the one before."""
    cluster.containers["scheduler"].kill()
    return 10.0


def api_server_killed(cluster: Cluster, rng: random.Random) -> float:
    """Workers cannot report until it is there again."""
    cluster.containers["api-server"].kill()
    return 20.0


def postgres_killed(cluster: Cluster, rng: random.Random) -> float:
    """It replays its log; every connection is lost."""
    cluster.containers["postgres"].kill()
    return 20.0


def redis_without_memory(cluster: Cluster, rng: random.Random) -> float:
    """It starts again with an empty volume: all that was queued is lost."""
    redis = cluster.containers["redis"]
    redis.kill(restart=False)
    volume = cluster.services.folder / "redis"
    shutil.rmtree(volume)
    volume.mkdir()
    redis.start()
    return cluster.queued_s + 20.0


def disk_full(cluster: Cluster, rng: random.Random) -> float:
    """A worker's disk for temporary files is full for a while."""
    name = cluster.worker_at_work() or rng.choice(sorted(cluster.workers))
    make_room = cluster.containers[name].fill()
    timer = threading.Timer(FULL_S, make_room)
    timer.daemon = True
    timer.start()
    return FULL_S


def store_fails(cluster: Cluster, rng: random.Random) -> float:
    """The object store answers 500 for a while."""
    if cluster.store is not None:
        cluster.store.arm(1, "error", 50)
    return STORE_S


def store_slow(cluster: Cluster, rng: random.Random) -> float:
    """The object store answers after two seconds for a while."""
    if cluster.store is not None:
        cluster.store.arm(1, "slow", 50)
    return STORE_S


def triggered_again(cluster: Cluster, rng: random.Random) -> float:
    """Somebody triggers the same night once more: it waits, and finds nothing to do."""
    with contextlib.suppress(httpx.HTTPError):  # the API server is down
        cluster.trigger(NIGHTLY)
    return 0.0


KINDS: dict[str, Callable[[Cluster, random.Random], float]] = {
    function.__name__.replace("_", " "): function
    for function in (
        worker_killed,
        worker_frozen,
        scheduler_killed,
        api_server_killed,
        postgres_killed,
        redis_without_memory,
        disk_full,
        store_fails,
        store_slow,
        triggered_again,
    )
}
FOR_STORES = ("store fails", "store slow")


def schedule(seed: int, kinds: int, span_s: float, *, on_store: bool) -> list[tuple[float, str]]:
    """(seconds after the trigger, kind) of a night: different kinds, over the time of a quiet one.

    Lakes on a store have even seeds, those in a folder odd ones. Five of them have every kind,
    since each begins where the one before has ended.
    """
    rng = random.Random(seed)
    names = [name for name in KINDS if on_store or name not in FOR_STORES]
    start = seed // 2 * kinds
    chosen = [names[(start + number) % len(names)] for number in range(kinds)]
    rng.shuffle(chosen)
    # Not before the first batches are there, not after the last.
    times = sorted(rng.uniform(0.15, 0.85) * span_s for _ in chosen)
    return list(zip(times, chosen, strict=True))


def disturb(cluster: Cluster, seed: int, planned: list[tuple[float, str]]) -> float:
    """Disturb a night that has just begun; returns the seconds that it may take longer."""
    rng = random.Random(seed)
    begun = time.monotonic()
    outages_s = 0.0
    for at_s, name in planned:
        time.sleep(max(0.0, begun + at_s - time.monotonic()))
        print(f"  {time.monotonic() - begun:5.0f} s: {name}", flush=True)
        outages_s += KINDS[name](cluster, rng)
    return outages_s
