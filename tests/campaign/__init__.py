"""Kill resets and restores at random moments and see that no row is lost: `make campaign`."""
