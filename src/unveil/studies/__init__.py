"""Studies: arms that differ in one thing, over seeds and splits, with rows that are never made twice."""
