"""Ways to share a dataset among devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from netfed.errors import ScenarioError
from netfed.learning.data.spec import Count, Partition

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from netfed.learning.data.spec import Examples
    from netfed.streams import Streams


@dataclass(frozen=True)
class Iid(Partition, kind="iid"):
    """Every device gets a uniformly random share; sizes are equal up to one."""

    def split(self, examples: Examples, devices: int, streams: Streams) -> NDArray[np.int64]:
        import numpy as np

        _require(len(examples), devices, 1)
        return streams.generator("partition/order").permutation(len(examples)).astype(np.int64) % devices


@dataclass(frozen=True)
class Dirichlet(Partition, kind="dirichlet"):
    """Label skew: each device has its own mix of classes, drawn from Dirichlet(alpha, ..., alpha).

    As in Hsu, Qi and Brown, "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
    Classification", 2019, arXiv:1909.06335, a device's mix is one draw, here addressed by its id alone. They sample
    each device's examples from its mix until the classes run out. Here nothing is left over and no device comes last:
    the examples of each class, in random order, are cut among the devices in proportion to what their mixes ask of
    that class (to the nearest example). A device's size therefore varies a little around the mean. Devices left with
    fewer than ``min_examples`` are then topped up with random examples of the largest ones.

    Attributes:
        alpha: Concentration: 0.1 gives one or two classes a device, 100 is close to no skew.
        min_examples: What every device has at least.
    """

    alpha: Annotated[float, Field(ge=0.001, le=1_000_000)]
    min_examples: Count = 2

    def split(self, examples: Examples, devices: int, streams: Streams) -> NDArray[np.int64]:
        import numpy as np

        _require(len(examples), devices, self.min_examples)
        labels = examples.labels
        classes = int(labels.max()) + 1
        # The rows of one generator come in the order of the ids, so that a mix does not depend on how many follow.
        mixes = streams.generator("partition/mix").dirichlet(np.full(classes, self.alpha), devices)  # [device, class]
        mixes += 1e-9  # a class for which nobody asks is shared evenly
        owners = np.empty(len(labels), np.int64)
        for label in range(classes):
            members = streams.generator("partition/order", label).permutation(np.flatnonzero(labels == label))
            owners[members] = _in_proportion(mixes[:, label], len(members))
        return _topped_up(owners, devices, self.min_examples, streams.generator("partition/spare"))


@dataclass(frozen=True)
class Shards(Partition, kind="shards"):
    """Label skew: each device has a few shards of the examples sorted by class.

    As in McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017,
    arXiv:1602.05629, section 3: sort by class, cut into devices * ``per_device`` shards (equal up to one example), deal
    each device ``per_device`` of them at random. Where in the sorted order its shards lie is drawn by the device's id
    alone; more devices make them narrower.

    Attributes:
        per_device: Shards of a device: where a shard is smaller than a class, it holds examples of one or two.
    """

    per_device: Count = 2

    def split(self, examples: Examples, devices: int, streams: Streams) -> NDArray[np.int64]:
        import numpy as np

        _require(len(examples), devices, self.per_device)
        shards = devices * self.per_device
        owners = np.argsort(streams.uniform("partition/shards", np.arange(shards))) // self.per_device  # [shard]
        split = np.empty(len(examples), np.int64)
        split[np.argsort(examples.labels, kind="stable")] = owners[np.arange(len(examples)) * shards // len(examples)]
        return split


@dataclass(frozen=True)
class Quantity(Partition, kind="quantity"):
    """Quantity skew: devices differ in how much they have, not in what.

    As in Li, Diao, Chen and He, "Federated Learning on Non-IID Data Silos: An Experimental Study", ICDE 2022,
    arXiv:2102.02079, section IV: the devices' shares of the examples are one draw from Dirichlet(beta, ..., beta).
    Each device's part in it is drawn by its id alone. Devices left with fewer than ``min_examples`` are then topped up
    with random examples of the largest ones.

    Attributes:
        beta: Concentration: 0.1 leaves a few devices with nearly all, 100 is close to equal shares.
        min_examples: What every device has at least.
    """

    beta: Annotated[float, Field(ge=0.001, le=1_000_000)]
    min_examples: Count = 2

    def split(self, examples: Examples, devices: int, streams: Streams) -> NDArray[np.int64]:
        import numpy as np

        _require(len(examples), devices, self.min_examples)
        # Gamma draws over their sum are a Dirichlet draw, and those of one generator come in the order of the ids.
        amounts = streams.generator("partition/amount").standard_gamma(self.beta, devices) + 1e-12
        owners = np.empty(len(examples), np.int64)
        order = streams.generator("partition/order").permutation(len(examples))
        owners[order] = _in_proportion(amounts, len(examples))
        return _topped_up(owners, devices, self.min_examples, streams.generator("partition/spare"))


@dataclass(frozen=True)
class Natural(Partition, kind="natural"):
    """Each device has what real clients have: the dataset says who they are.

    With as many devices as clients each device is a client. With fewer, clients are dealt as cards are: in a random
    order, to one device after the other, so that each is about as many clients as any other.
    """

    def split(self, examples: Examples, devices: int, streams: Streams) -> NDArray[np.int64]:
        import numpy as np

        if examples.clients is None:
            raise ScenarioError(
                "task.partition: natural needs a dataset that tells its clients, such as {kind: table, client: COLUMN}"
            )
        clients, client = np.unique(examples.clients, return_inverse=True)
        if devices > len(clients):
            raise ScenarioError(
                f"task.partition: the devices' part is from {len(clients)} clients, too few for {devices} devices: "
                f"lower devices.count to {len(clients)}, or raise task.split.devices"
            )
        place = np.argsort(np.argsort(streams.uniform("partition/client", clients)))  # [client], in the random order
        return (place % devices)[client].astype(np.int64)


def _require(examples: int, devices: int, min_examples: int) -> None:
    """Refuse to share so few examples among so many devices.

    Raises:
        ScenarioError: Some device would have fewer than ``min_examples``.
    """
    if examples < devices * min_examples:
        raise ScenarioError(
            f"task.partition: {examples} examples are too few for {devices} devices with at least {min_examples} each: "
            "lower devices.count, or raise task.split.devices"
        )


def _in_proportion(amounts: NDArray[np.float64], places: int) -> NDArray[np.int64]:
    """Return who gets each place, so that everybody's places are in proportion to their amounts, to the nearest.

    Args:
        amounts: Positive.  # [device]
        places: How many there are.

    Returns:
        Ids in ascending order.  # int64 [place]
    """
    import numpy as np

    ends = np.cumsum(amounts)
    return np.asarray(np.searchsorted(ends, ends[-1] * (np.arange(places) + 0.5) / places), np.int64)


def _topped_up(
    owners: NDArray[np.int64], devices: int, min_examples: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Give each device at least ``min_examples``, at the cost of the largest ones."""
    import numpy as np

    sizes = np.bincount(owners, minlength=devices)
    missing = np.maximum(min_examples - sizes, 0)  # [device]
    by_owner = np.lexsort((generator.permutation(len(owners)), owners))
    place = np.empty_like(owners)  # [example], in its device's share, counted from 0
    place[by_owner] = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    spare = np.argsort(-place, kind="stable")[: missing.sum()]
    topped_up = owners.copy()
    topped_up[spare] = np.repeat(np.arange(devices), missing)
    return topped_up
