"""What training holds in memory at once, counted from the real model."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from torch import Tensor, UntypedStorage
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_bytes(step: Callable[[], object]) -> int:
    """Run ``step`` once and return the most bytes that its results held at any moment on this thread.

    What is there before counts nothing. Results that share memory, such as views, count once. What an operation needs
    inside counts nothing either, nor do allocators, programs and libraries: a device needs more.
    """
    counter = _Counter()
    with counter:
        step()
    return counter.most_bytes


class _Counter(TorchDispatchMode):
    """Follows the memory of results from the operation that makes it until nobody has it any more."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most_bytes: int = 0
        self._bytes: int = 0
        self._known: weakref.WeakSet[UntypedStorage] = weakref.WeakSet()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Tell PyTorch that no code under this mode is compiled, so that it does not import the compiler either."""
        return False

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = {leaf.untyped_storage().data_ptr() for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and (storage := leaf.untyped_storage()).data_ptr() not in given:
                self._hold(storage)
        return result

    def _hold(self, storage: UntypedStorage) -> None:
        if storage not in self._known:
            self._known.add(storage)
            self._bytes += storage.nbytes()
            self.most_bytes = max(self.most_bytes, self._bytes)
            weakref.finalize(storage, self._release, storage.nbytes())

    def _release(self, size: int) -> None:
        self._bytes -= size
