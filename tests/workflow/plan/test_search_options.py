"""Options of searches, held against the code of each method before a job starts."""

import dataclasses
import importlib

import pytest

from effconv import SearchOptions
from tests.workflow.made_plans import plan_of
from workflow.plan import search_options
from workflow.protocol.search_methods import METHODS
from workflow.support.errors import UserError


@pytest.mark.parametrize("method", METHODS)
def test_what_a_methods_own_class_takes_is_known(method):
    """The classes themselves say it: their fields with the defaults, which are right by definition."""
    module, _, name = METHODS[method]
    defaults = {
        field.name: field.default for field in dataclasses.fields(getattr(importlib.import_module(module), name))
    }
    search_options.check(defaults, method, "here")
    search_options.check(SearchOptions().to_dict(), method, "here")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hiden": 32}, "'hiden' is no option of the search method 'effconv'; did you mean 'hidden'"),
        ({"temperature": 1.0}, "'temperature' is no option of the search method 'effconv'; its options are "),
        ({"kernel_predictor": "litteral"}, "'kernel_predictor' is 'litteral', but must be one of literal, projected"),
        ({"budget_method": "penalties"}, "must be one of penalty, multiplier, rescale"),
        ({"hidden": "wide"}, "'hidden' is 'wide', but must be of type int"),
        ({"hidden": True}, "'hidden' is True, but must be of type int"),
        ({"odd_only": 1}, "'odd_only' is 1, but must be of type bool"),
        ({"lam": "two"}, "'lam' is 'two', but must be of type float"),
    ],
)
def test_a_mistake_is_found_by_planning(options, words):
    with pytest.raises(UserError) as caught:
        plan_of("cifar10/effconv-20-0.66m", search_options=options)
    assert str(caught.value).startswith("config, search_options: ") and words in str(caught.value)


def test_options_of_another_method_are_known_where_only_its_rows_are_run():
    (run,) = plan_of("cifar10/super-kernel-20-0.66m", seeds=[0], search_options={"temperature": 2, "lam": 1}).runs
    assert run.search.options["temperature"] == 2
