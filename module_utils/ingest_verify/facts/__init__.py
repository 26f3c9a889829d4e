"""What is known of a case, each fact with its source. Reading concludes nothing."""
