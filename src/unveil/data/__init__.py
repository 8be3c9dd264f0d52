"""Where samples come from: files, folders, arrays, shards, hubs and built-in sets."""
