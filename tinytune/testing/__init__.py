"""What every search promises, as checks for any search, also your own; and a simulated study.

With pytest, for a search `Mine` that `tinytune.search.register` has made known:

    @pytest.mark.parametrize("check", tinytune.testing.CHECKS, ids=lambda check: check.__name__)
    def test_my_search_keeps_its_promises(check):
        check(Mine())

Each check raises AssertionError with a sentence that says which promise is broken, and where. A
search whose options depend on the space is given as a function from a space to its options. A
search that cannot keep a promise, and says so in its documentation, leaves that check out by name.

For a stopping rule that `tinytune.stopping.register` has made known, it is the same with
`RULE_CHECKS`, or `tinytune.testing.check_rule(Mine())` puts it to all of them. They make up a study
of 40 trials with 12 reports each: choose options that stop some of those.
"""

from tinytune.testing.checks import (
    CHECKS,
    Options,
    check_end,
    check_extreme_values,
    check_failures,
    check_first,
    check_fold,
    check_foreign_results,
    check_growth,
    check_learning,
    check_options,
    check_pending,
    check_purity,
    check_replay,
    check_suggestions_lie_in_the_space,
)
from tinytune.testing.rules import (
    RULE_CHECKS,
    check_rule,
    check_rule_facts,
    check_rule_hard_curves,
    check_rule_needs,
    check_rule_options,
    check_rule_pauses,
    check_rule_purity,
    check_rule_replay,
)
from tinytune.testing.simulation import Loss, Simulated, bowl, simulate
from tinytune.testing.spaces import Spaces, numbers, spaces

__all__ = [
    "CHECKS",
    "check_options",
    "check_suggestions_lie_in_the_space",
    "check_replay",
    "check_purity",
    "check_fold",
    "check_first",
    "check_end",
    "check_pending",
    "check_learning",
    "check_failures",
    "check_foreign_results",
    "check_extreme_values",
    "check_growth",
    "RULE_CHECKS",
    "check_rule",
    "check_rule_options",
    "check_rule_replay",
    "check_rule_purity",
    "check_rule_facts",
    "check_rule_needs",
    "check_rule_hard_curves",
    "check_rule_pauses",
    "Options",
    "Loss",
    "Simulated",
    "simulate",
    "bowl",
    "Spaces",
    "spaces",
    "numbers",
]
