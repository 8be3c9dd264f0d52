"""What one sample is, kind by kind, and the one table of kinds."""

TABLE = {
    "atoms": "unveil.kinds.atoms:Atoms",
    "image": "unveil.kinds.image:Image",
    "graph": "unveil.kinds.graph:Graph",
    "signal": "unveil.kinds.signal:Signal",
}
