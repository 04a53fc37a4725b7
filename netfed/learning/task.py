"""What is to be learned: examples as tensors, the loss, and the metric that a result is read by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netfed.graph import digest
from netfed.learning.data.shares import Shares
from netfed.learning.rules.backprop import channels_last

_EVALUATION_BATCH = 1024


class TaskExamples:
    """Some of a task's examples: a range of those of a pool.

    Args:
        inputs: Of the pool, float32 [example, ...].
        labels: Of the pool, int64 [example].
        digest: sha256 of the bytes of both, of the range.
        first: Where the range begins.
        count: How long it is; None: to the end.

    Attributes:
        pool: Inputs and labels.
        digest: See above.
        first: See above.
    """

    __slots__ = ("_count", "digest", "first", "pool")

    def __init__(self, inputs: Tensor, labels: Tensor, digest: str, first: int = 0, count: int | None = None) -> None:
        self.pool = inputs, labels
        self.digest = digest
        self.first = first
        self._count = len(labels) - first if count is None else count

    def __len__(self) -> int:
        return self._count

    @property
    def inputs(self) -> Tensor:
        """float32 [example, ...], a view."""
        return self.pool[0].narrow(0, self.first, self._count)

    @property
    def labels(self) -> Tensor:
        """int64 [example], a view."""
        return self.pool[1].narrow(0, self.first, self._count)

    @property
    def bits(self) -> int:
        """Size as they are stored."""
        return 8 * (self.inputs.nbytes + self.labels.nbytes)


class Classification:
    """Classification with cross-entropy; the metric is accuracy, the mean over test groups.

    A test group is one device's unseen examples in its own hand, or the one common test where all write alike.

    Args:
        shares: Who has which examples.
    """

    metric = "accuracy"

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._inputs = torch.from_numpy(shares.train.inputs)
        self._labels = torch.from_numpy(shares.train.labels)
        self._offsets: list[int] = shares.train_offsets.tolist()
        self._groups: list[int] = shares.test_offsets.tolist()
        self.classes = shares.classes
        self.shape: tuple[int, ...] = tuple(self._inputs.shape[1:])
        self.cloud = TaskExamples(
            torch.from_numpy(shares.cloud.inputs), torch.from_numpy(shares.cloud.labels), shares.cloud_digest
        )
        self.tests = TaskExamples(
            torch.from_numpy(shares.test.inputs), torch.from_numpy(shares.test.labels), shares.test_digest
        )

    @property
    def devices(self) -> int:
        """Number of devices."""
        return len(self._offsets) - 1

    @property
    def largest(self) -> int:
        """Examples of the device that has the most."""
        return max(end - start for start, end in pairwise(self._offsets))

    def share(self, device: int) -> TaskExamples:
        """Return one device's training examples."""
        first, end = self._offsets[device : device + 2]
        return TaskExamples(self._inputs, self._labels, self._shares.shard_digests[device], first, end - first)

    def gather(self, devices: Sequence[int]) -> TaskExamples:
        """Return several devices' training examples in one place (copies), in the order given."""
        shares = [self.share(device) for device in devices]
        return TaskExamples(
            torch.cat([share.inputs for share in shares]),
            torch.cat([share.labels for share in shares]),
            digest("gathered", [share.digest for share in shares]),
        )

    def pool(self) -> TaskExamples:
        """Return all devices' training examples."""
        return TaskExamples(self._inputs, self._labels, self._shares.train_digest)

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of a batch.

        Args:
            outputs: Logits [example, class].
            labels: [example].
        """
        return F.cross_entropy(outputs, labels)

    def slopes(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the gradient of each example's loss by its outputs: [example, class]. Arguments as of `loss`.

        Softmax less one at the label (Bridle, Neurocomputing, NATO ASI Series F 68, 1990): half of what autograd
        takes to find it through the loss.
        """
        slopes = outputs.softmax(1)
        return slopes.scatter_add_(1, labels[:, None], slopes.new_full((len(labels), 1), -1.0))

    def evaluate(self, module: nn.Module, device: int | None = None) -> Mapping[str, float]:
        """Return accuracy and loss, each the mean over test groups, or those of one device's group.

        Args:
            module: Any mode; left in evaluation mode.
            device: Whose tests; None means all.
        """
        groups = self._groups
        if device is not None and len(groups) > 2:
            groups = groups[device : device + 2]
        module.eval()
        correct, losses = [], []
        with torch.no_grad():
            for start in range(groups[0], groups[-1], _EVALUATION_BATCH):
                part = slice(start, min(start + _EVALUATION_BATCH, groups[-1]))
                outputs = module(channels_last(self.tests.inputs[part]))
                correct.append(outputs.argmax(1) == self.tests.labels[part])
                losses.append(F.cross_entropy(outputs, self.tests.labels[part], reduction="none"))
        sizes = [end - start for start, end in pairwise(groups)]
        return {
            name: float(torch.stack([group.mean() for group in torch.cat(values).double().split(sizes)]).mean())
            for name, values in (("accuracy", correct), ("loss", losses))
        }
