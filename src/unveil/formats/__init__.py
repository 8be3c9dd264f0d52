"""How an encoder leaves: a module a format, each with ``write(encoder, folder)`` and ``answer(folder, encoder)``, what the other side
makes of the folder; and the card that goes with it."""
