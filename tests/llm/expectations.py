# SPDX-License-Identifier: Apache-2.0
"""What tests of attend-llm expect of its runs; all of it is looked at before a test fails."""
failures = []


def expect(truth, what, result=None):
    """Notes `what` where it is not true, and prints the end of what the process of `result` said."""
    if truth:
        return
    failures.append(what)
    print("FAILED", what)
    if result is not None:
        print(f"  exit {result.returncode}\n  stdout {result.stdout[-600:]}\n  stderr {result.stderr[-600:]}")
