"""One module a format. Each says ``NAME``, ``KINDS`` (which kinds can read it), ``detect(path)`` and ``read(path, options)``.

``detect`` returns one line about what it saw, or None where the path is of another format; it reads no more than it must.
``read`` returns :class:`unveil.data.records.Records`, lazily where files are many. The first module that detects a path reads it.
A module whose paths differ in what they hold may also say ``kinds(path)``: which of ``KINDS`` this one can be. It is asked after
``detect`` and stands in place of ``KINDS``. One that holds a sample of one kind as it stands, while the others need something made first,
says that kind in ``usual(path)``; it is taken where the user says none. ``read`` is told the kind in ``options.kind``.
"""

TABLE = ["pictures", "recordings", "tudataset", "molecules", "structures", "networks", "tables", "series", "arrays", "shards", "hub"]
