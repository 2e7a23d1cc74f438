"""Why `auto` chooses a search. By itself, since `tinytune status` says it and needs no numpy."""

REASONS = {
    "grid": "there are no more configurations than trials: each is tried once",
    "sobol": "the trials are too few, or the workers too many, to learn from results",
    "trust-region": "the objective is smooth, or may be near its best",
    "gp": "a Gaussian process makes most of few results",
    "tpe": "there are many parameters, or many results",
    "cma-es": "there are many results, and numbers alone",
}
