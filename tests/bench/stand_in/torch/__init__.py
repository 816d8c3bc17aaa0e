# SPDX-License-Identifier: Apache-2.0
"""As much of PyTorch's interface as bench/cuda/peers.py uses, on numpy: its questions and answers can be tried without a device."""
import contextlib
import math
import sys
import time
import types

import numpy as np

__version__ = "0.0-stand-in"
float16, float32, float64, uint8 = np.float16, np.float32, np.float64, np.uint8
bfloat16 = np.float32  # numpy has none; nothing here looks at bits


class Tensor:
    def __init__(self, array):
        self.array = np.asarray(array)

    @property
    def shape(self):
        return self.array.shape

    def to(self, kind):
        return Tensor(self.array.astype(kind))

    def double(self):
        return self.to(np.float64)

    def transpose(self, a, b):
        return Tensor(np.swapaxes(self.array, a, b))

    def repeat_interleave(self, count, dim):
        return Tensor(np.repeat(self.array, count, axis=dim))

    def softmax(self, axis):
        weights = np.exp(self.array - self.array.max(axis=axis, keepdims=True))
        return Tensor(weights / weights.sum(axis=axis, keepdims=True))

    def square(self):
        return Tensor(self.array**2)

    def mean(self):
        return Tensor(self.array.mean())

    def sqrt(self):
        return Tensor(np.sqrt(self.array))

    def item(self):
        return float(self.array)

    def zero_(self):
        self.array[...] = 0

    @property
    def T(self):
        return Tensor(self.array.T)

    def __getitem__(self, key):
        return Tensor(self.array[key])

    def __setitem__(self, key, value):
        self.array[key] = value.array

    def __matmul__(self, other):
        return Tensor(self.array @ other.array)

    def __add__(self, other):
        return Tensor(self.array + other.array)

    def __sub__(self, other):
        return Tensor(self.array - other.array)

    def __mul__(self, other):
        return Tensor(self.array * (other.array if isinstance(other, Tensor) else other))

    def __truediv__(self, other):
        return Tensor(self.array / (other.array if isinstance(other, Tensor) else other))

    def __lt__(self, other):
        return Tensor(self.array < other)

    __rmul__ = __mul__


def randn(shape, device=None, dtype=None):
    return Tensor(np.random.default_rng(1).standard_normal(shape).astype(dtype or np.float32))


def rand(shape, device=None):
    return Tensor(np.random.default_rng(2).random(shape))


def empty(shape, dtype=None, device=None):
    return Tensor(np.empty(min(shape, 1 << 20) if isinstance(shape, int) else shape, dtype=dtype))


def empty_like(tensor):
    return Tensor(np.empty_like(tensor.array))


no_grad = contextlib.nullcontext


class Event:
    def __init__(self, enable_timing=False):
        self.when = 0.0

    def record(self):
        self.when = time.perf_counter()

    def synchronize(self):
        pass

    def elapsed_time(self, other):
        return 1e3 * (other.when - self.when)


cuda = types.SimpleNamespace(is_available=lambda: True, get_device_name=lambda: "stand-in", Event=Event, empty_cache=lambda: None)
backends = types.SimpleNamespace(cudnn=types.SimpleNamespace(version=lambda: 0))


def scaled_dot_product_attention(q, k, v, is_causal=False, enable_gqa=False):
    from torch.nn.attention import SDPBackend, active
    if enable_gqa and active() == [SDPBackend.CUDNN_ATTENTION]:
        raise RuntimeError("No available kernel. Aborting execution.")
    if q.shape[-1] > 128 and active() == [SDPBackend.FLASH_ATTENTION]:
        raise RuntimeError("No available kernel. Aborting execution.")
    k, v = (tensor.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for tensor in (k, v))
    scores = Tensor(q.double().array @ np.swapaxes(k.double().array, -1, -2) / math.sqrt(q.shape[-1]))
    if is_causal:
        scores.array[..., np.triu(np.ones(scores.shape[-2:], dtype=bool), 1)] = -np.inf
    return Tensor(scores.softmax(-1).array @ v.double().array).to(q.array.dtype)


sys.modules[__name__].nn = types.ModuleType("torch.nn")
sys.modules[__name__].nn.functional = types.SimpleNamespace(scaled_dot_product_attention=scaled_dot_product_attention)
sys.modules[__name__].nn.__path__ = [__path__[0] + "/nn"]
sys.modules["torch.nn"] = sys.modules[__name__].nn
