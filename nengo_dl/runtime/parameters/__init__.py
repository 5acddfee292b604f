"""Parameters by Nengo object, and the files that hold them."""
