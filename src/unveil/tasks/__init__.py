"""What judges an encoder, and the one table of tasks, in the order in which they are told."""

TABLE = {
    "linear": "unveil.tasks.linear:Linear",
    "knn": "unveil.tasks.knn:KNN",
    "network": "unveil.tasks.supervised:Network",
}
