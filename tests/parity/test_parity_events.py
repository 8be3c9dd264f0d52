"""Event scores against the library of SzCORE with its defaults: events, those that were found, false alarms.

Numbers: ``numbers/README.md``."""

import numpy as np
from events_case import cases
from given import kept

from unveil.tasks.events import any_overlap, merged, split_long

THEIRS = kept("events")["counts"].numpy()


def test_counts_are_theirs():
    ours = []
    for events in cases():
        true, found = (split_long(merged(each, 90.0), 300.0) for each in events)
        hits, alarms = any_overlap(true, found, 30.0, 60.0)
        ours.append([len(true), hits.sum(), alarms.sum()])
    np.testing.assert_array_equal(ours, THEIRS)


def test_cases_have_all_that_is_counted():
    assert THEIRS.sum(0).min() > 30 and (THEIRS[:, 1] < THEIRS[:, 0]).any()
