#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the wrappers of wgmma for the shapes that the kernels' tables name.

  wgmma_atoms.py OUT N...     OUT: the header; N: columns of an accumulator, multiples of 8 up to 256

For each N: S = A.B with A in shared memory (both K-major) and D += A.B with A in registers and B with its columns contiguous
(MN-major), for f16 and bf16, f32 accumulators. PTX ISA 9.7.15 "wgmma.mma_async".
"""
import sys


def accumulators(n):
    return ", ".join(f"%{i}" for i in range(n // 2))


def constraints(n):
    return ", ".join(f'"+f"(d[{i}])' for i in range(n // 2))


def wrapper(n, element):
    regs = n // 2
    opcode = f"wgmma.mma_async.sync.aligned.m64n{n}k16.f32.{element}.{element}"
    return f"""
template <>
struct Wgmma<{n}, Element::{element}> {{
  /// d = a.b, or d + a.b with `accumulate`; both K-major.
  __device__ static void shared(float (&d)[{regs}], uint64_t a, uint64_t b, int accumulate) {{
    asm volatile(
        "{{\\n.reg .pred p;\\nsetp.ne.b32 p, %{regs + 2}, 0;\\n"
        "{opcode} {{{accumulators(n)}}}, %{regs}, %{regs + 1}, p, 1, 1, 0, 0;\\n}}"
        : {constraints(n)}
        : "l"(a), "l"(b), "r"(accumulate));
  }}
  /// d += a.b; b MN-major.
  __device__ static void registers(float (&d)[{regs}], const uint32_t (&a)[4], uint64_t b) {{
    asm volatile(
        "{opcode} {{{accumulators(n)}}}, {{%{regs}, %{regs + 1}, %{regs + 2}, %{regs + 3}}}, %{regs + 4}, 1, 1, 1, 1;"
        : {constraints(n)}
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
  }}
}};
"""


def main():
    out, shapes = sys.argv[1], sorted({int(n) for n in sys.argv[2:]})
    if not shapes or any(n % 8 or not 8 <= n <= 256 for n in shapes):
        sys.exit(f"wgmma_atoms: N is {shapes}, expected multiples of 8 from 8 to 256")
    with open(out, "w", encoding="utf-8") as header:
        header.write("// Written by tools/wgmma_atoms.py.\n#pragma once\n")
        for n in shapes:
            for element in ("f16", "bf16"):
                header.write(wrapper(n, element))


if __name__ == "__main__":
    main()
