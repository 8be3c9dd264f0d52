"""One file a command: ``add`` says what it takes, ``run`` calls :mod:`unveil.api` and prints. The table is in the order of the help."""

TABLE = ("inspect", "preview", "plan", "pretrain", "evaluate", "embed", "export", "report", "compare", "reproduce", "rerun", "select",
         "listing", "doctor")
