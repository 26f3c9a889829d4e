"""A run's report: one model (report.json), and what is made of it: HTML, Markdown, JUnit, metrics, an archive."""
