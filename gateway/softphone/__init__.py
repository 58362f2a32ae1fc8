"""A plain telephone in a web page: static files without a build step, and the list of bots."""
