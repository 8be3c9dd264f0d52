"""What one sample is, kind by kind, and the one table of kinds."""

TABLE = {
    "image": "unveil.kinds.image:Image",
    "graph": "unveil.kinds.graph:Graph",
    "signal": "unveil.kinds.signal:Signal",
}
