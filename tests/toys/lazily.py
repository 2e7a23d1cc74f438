def helper(x: float) -> float:
    return x * x
