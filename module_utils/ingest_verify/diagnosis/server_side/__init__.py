"""What the server refused, and why: from an error code and its text to a cause, an object by name and a next step."""
