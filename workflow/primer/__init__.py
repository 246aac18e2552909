"""The kernel-size primer: what teaching material says about kernel sizes, computed anew and marked right or wrong.

One module a topic, one function a statement (`f(effort) -> Statement`); `stage` computes them all, `record` reads what it wrote.
"""
