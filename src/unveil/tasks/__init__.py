"""What judges an encoder, and the one table of tasks, in the order in which they are told."""

TABLE = {
    "linear": "unveil.tasks.linear:Linear",
    "knn": "unveil.tasks.knn:KNN",
    "few-shot": "unveil.tasks.fewshot:FewShot",
    "curve": "unveil.tasks.fewshot:Curve",
    "network": "unveil.tasks.supervised:Network",
    "partial": "unveil.tasks.supervised:Partial",
    "noisy-nodes": "unveil.tasks.supervised:NoisyNodes",
    "cluster": "unveil.tasks.cluster:Cluster",
    "retrieve": "unveil.tasks.retrieve:Retrieve",
    "robust": "unveil.tasks.robust:Robust",
    "shift": "unveil.tasks.shift:Shift",
    "subjects": "unveil.tasks.subjects:Subjects",
    "calibration": "unveil.tasks.calibration:Calibration",
    "attentive": "unveil.tasks.attentive:Attentive",
    "forest": "unveil.tasks.forest:Forest",
    "tenfold": "unveil.tasks.tenfold:TenFold",
    "regression": "unveil.tasks.regression:Regression",
    "dense": "unveil.tasks.dense:Dense",
    "events": "unveil.tasks.events:Events",
    "forecast": "unveil.tasks.forecast:Forecast",
}
