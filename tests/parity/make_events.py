"""Numbers from esl-epfl/timescoring: ``python make_events.py FOLDER VERSION``, FOLDER with the package of that version unpacked.

Scores made-up events with the authors' defaults and keeps counts. None of their code is here.
"""

import sys

import numpy as np
from events_case import HOURS, cases
from given import keep

sys.path.insert(0, sys.argv[1])
from timescoring.annotations import Annotation
from timescoring.scoring import EventScoring

counts = []
for true, found in cases():
    ref, hyp = (Annotation([tuple(event) for event in events.tolist()], 1, HOURS * 3600) for events in (true, found))
    score = EventScoring(ref, hyp)
    counts.append([score.refTrue, score.tp, score.fp])
keep("events", f"esl-epfl/timescoring {sys.argv[2]}", counts=np.array(counts))
