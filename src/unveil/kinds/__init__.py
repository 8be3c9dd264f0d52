"""What one sample is, kind by kind, and the one table of kinds."""

TABLE = {
    "image": "unveil.kinds.image:Image",
    "signal": "unveil.kinds.signal:Signal",
    "graph": "unveil.kinds.graph:Graph",
    "atoms": "unveil.kinds.atoms:Atoms",
}
