"""Writes what Optuna's evaluators say of some trials: `python -m tests.importance_reference`.

The tests compare tinytune with the numbers in importance_reference.json, and need neither Optuna
nor scikit-learn for it; this script needs both (Optuna 5.0.0, scikit-learn 1.9.1 wrote the file).
"""

import json
import warnings
from itertools import combinations
from pathlib import Path

import numpy as np

PATH = Path(__file__).with_suffix(".json")

LINEAR = [
    {"name": "x", "type": "float", "low": -1.0, "high": 2.0},
    {"name": "y", "type": "float", "low": 0.0, "high": 1.0},
    {"name": "z", "type": "float", "low": 0.0, "high": 10.0},
]
MIXED = [
    {"name": "x", "type": "float", "low": -1.0, "high": 2.0},
    {"name": "lr", "type": "float", "low": 1e-5, "high": 1.0, "log": True},
    {"name": "drop", "type": "float", "low": 0.0, "high": 0.9, "step": 0.1},
    {"name": "layers", "type": "int", "low": 1, "high": 8},
    {"name": "width", "type": "int", "low": 0, "high": 100},
    {"name": "units", "type": "int", "low": 1, "high": 512, "log": True},
    {"name": "kind", "type": "choice", "options": ["a", "b", "c"]},
]
CONDITIONAL = [
    {"name": "kind", "type": "choice", "options": ["a", "b"]},
    {"name": "x", "type": "float", "low": 0.0, "high": 1.0},
    {"name": "n", "type": "int", "low": 1, "high": 5, "when": {"kind": ["b"]}},
    {"name": "y", "type": "float", "low": 0.0, "high": 1.0, "when": {"kind": ["a"]}},
]


def drawn(entry, random, concentration):
    """Return a value; above 1, the concentration puts more of them near the low end."""
    u = random.random_sample() ** concentration
    low, high = entry.get("low"), entry.get("high")
    if entry["type"] == "choice":
        return entry["options"][int(u * len(entry["options"]))]
    if entry.get("log"):
        value = float(low * (high / low) ** u)
        return max(low, min(high, round(value))) if entry["type"] == "int" else value
    if entry["type"] == "int":
        return low + int(u * (high - low + 1))
    if "step" in entry:
        return round(int(u * (round((high - low) / entry["step"]) + 1)) * entry["step"], 10)
    return float(low + u * (high - low))


def configurations(space, count, seed, concentration=1.0):
    random = np.random.RandomState(seed)
    found = []
    for _ in range(count):
        params = {}
        for entry in space:
            when = entry.get("when", {})
            if all(params.get(name) in values for name, values in when.items()):
                params[entry["name"]] = drawn(entry, random, concentration)
        found.append(params)
    return found


def result(params):
    """Return some function of whatever parameters there are."""
    total = {"a": 0.0, "b": 0.3, "c": 1.0}.get(params.get("kind"), 0.0)
    total += (params.get("x", 0.0) - 0.4) ** 2 + 0.3 * params.get("y", 0.5) * params.get("x", 0.0)
    total += 0.2 * abs(np.log10(params.get("lr", 1e-2)) + 2) + 0.1 * params.get("layers", 0)
    total += params.get("drop", 0.0) ** 2 + 0.002 * params.get("width", 0)
    total += 0.2 * (params.get("n", 2) - 2) ** 2 + 0.01 * params.get("z", 0.0)
    return float(total)


def balanced(params):
    """Return a function to which all three parameters matter, alone and together."""
    x, y, z = params["x"], params["y"], params["z"]
    return float(0.4 * x + 1.5 * y + 0.08 * z + 0.5 * x * y)


def whatever_kind(params):
    """Return a function whose best values there are beside each option."""
    return result({**params, "kind": "a"}) + 0.5 * abs(params.get("y", 0.4) - 0.4)


def study_of(optuna, case):
    found = optuna.create_study(direction=case["direction"])
    distributions = {entry["name"]: distribution(optuna, entry) for entry in case["space"]}
    for params, value in zip(case["params"], case["values"], strict=True):
        there = {name: distributions[name] for name in params}
        found.add_trial(optuna.trial.create_trial(params=params, distributions=there, value=value))
    return found


def distribution(optuna, entry):
    kinds = optuna.distributions
    if entry["type"] == "choice":
        return kinds.CategoricalDistribution(entry["options"])
    if entry["type"] == "int":
        return kinds.IntDistribution(entry["low"], entry["high"], log=entry.get("log", False))
    options = {"log": entry.get("log", False), "step": entry.get("step")}
    return kinds.FloatDistribution(entry["low"], entry["high"], **options)


def case(space, count, seed, direction="minimize", concentration=1.0, digits=None, function=result):
    params = configurations(space, count, seed, concentration)
    values = [function(each) for each in params]
    if digits is not None:  # many equal values
        values = [round(value, digits) for value in values]
    return {"space": space, "direction": direction, "params": params, "values": values}


def tree_of(one):
    tree = one._tree
    return {
        "feature": tree.feature.tolist(),
        "threshold": tree.threshold.tolist(),
        "left": tree.children_left.tolist(),
        "right": tree.children_right.tolist(),
        "value": tree.value.reshape(-1).tolist(),
        "alone": [one.get_marginal_variance(np.array([i])) / one.variance for i in range(3)],
        "both": [
            one.get_marginal_variance(np.array(pair)) / one.variance
            for pair in combinations(range(3), 2)
        ],
    }


def main():
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    cases = {
        "linear": case(LINEAR, 100, 0, function=balanced),
        "mixed": case(MIXED, 80, 1),
        "mixed, maximized": case(MIXED, 60, 2, direction="maximize"),
        "mixed, concentrated": case(MIXED, 120, 3, concentration=3.0),
        "conditional": case(CONDITIONAL, 90, 4),
        "conditional, maximized": case(CONDITIONAL, 60, 7, direction="maximize"),
        "conditional, both": case(CONDITIONAL, 100, 8, function=whatever_kind),
        "ties": case(MIXED, 70, 5, digits=0),
    }
    for each in cases.values():
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        each["ped_anova"] = evaluator.evaluate(study_of(optuna, each))
    linear = cases["linear"]
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    linear["fanova"] = evaluator.evaluate(study_of(optuna, linear))
    small = case(LINEAR, 25, 6, function=balanced)
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0, n_trees=4)
    evaluator.evaluate(study_of(optuna, small))
    trees = [tree_of(one) for one in evaluator._evaluator._trees]
    PATH.write_text(json.dumps({"cases": cases, "trees": trees}) + "\n")


if __name__ == "__main__":
    main()
