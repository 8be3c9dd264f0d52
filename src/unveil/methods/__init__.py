"""One file a method, and the one table of them. Others' packages add theirs under the entry point ``unveil.methods``."""

TABLE = {
    "simclr": "unveil.methods.simclr:SimCLR",
    "i-jepa": "unveil.methods.ijepa:IJEPA",
    "lejepa": "unveil.methods.lejepa:LeJEPA",
}
