"""Who judges the results of a case: the reference, and beside it torch's own result, once somebody needs it."""

from __future__ import annotations

from collections.abc import Callable

from ..cases.results import Results
from ..cases.verdict import Verdict
from .calls import Problem, bind


class Judge:
    """Of the results of one case, against float64, which is computed here.

    Where something is beyond the tolerance, torch's eager result in the dtype of the case says how far off rounding
    puts it; that is computed once, from inputs that nobody wrote to. `fatal`: which of its errors to pass on; with any
    other, the tolerance alone decides.
    """

    def __init__(self, problem: Problem, fatal: Callable[[Exception], bool] = lambda error: False) -> None:
        self._expected, self._fatal = problem.expected(), fatal
        self._eager: list[Verdict | None] = []

    def __call__(self, problem: Problem, results: Results) -> Verdict:
        """The verdict on results that were computed from the inputs of `problem`, which is that of the case."""
        verdict = self._plain(problem, results)
        if verdict.ok:
            return verdict
        if not self._eager:
            self._eager.append(self._of_eager(problem))
        eager = self._eager[0]
        return verdict if eager is None else verdict.beside(eager)

    def _plain(self, problem: Problem, results: Results) -> Verdict:
        return problem.operation.verify(problem.inputs, problem.gradient, results, self._expected)

    def _of_eager(self, problem: Problem) -> Verdict | None:
        try:
            fresh = problem.again()
            bound = bind(fresh, fresh.operation.eager)
            return self._plain(fresh, bound.results(bound.call()))
        except Exception as error:  # whatever it raises: then there is nothing to compare with
            if self._fatal(error):
                raise
            return None
