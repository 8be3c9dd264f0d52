"""One file a method, and the one table of them. Others' packages add theirs under the entry point ``unveil.methods``."""

TABLE = {
    "simclr": "unveil.methods.simclr:SimCLR",
    "vicreg": "unveil.methods.vicreg:VICReg",
    "byol": "unveil.methods.byol:BYOL",
    "dino": "unveil.methods.dino:DINO",
    "mae": "unveil.methods.mae:MAE",
    "i-jepa": "unveil.methods.ijepa:IJEPA",
    "bootleg": "unveil.methods.bootleg:Bootleg",
    "lejepa": "unveil.methods.lejepa:LeJEPA",
    "graphmae": "unveil.methods.graphmae:GraphMAE",
    "hi-gmae": "unveil.methods.hi_gmae:HiGMAE",
    "graphcl": "unveil.methods.graphcl:GraphCL",
    "infograph": "unveil.methods.infograph:InfoGraph",
    "graph-jepa": "unveil.methods.graph_jepa:GraphJEPA",
    "coordinate-denoising": "unveil.methods.coordinate_denoising:CoordinateDenoising",
    "scd": "unveil.methods.scd:SCD",
    "biopm": "unveil.methods.biopm:BioPM",
    "unimotion": "unveil.methods.unimotion:UniMotion",
    "ts2vec": "unveil.methods.ts2vec:TS2Vec",
    "patchtst": "unveil.methods.patchtst:PatchTST",
}
